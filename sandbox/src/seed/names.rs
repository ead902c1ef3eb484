//! Names of people and companies in many scripts, each with the ASCII spelling that its mail
//! address is made of.
//!
//! Plain tables: no chance, no leads. Marketo takes ASCII addresses only (documented by Adobe), so
//! a name and its address often differ in script, which is what makes an audit by name alone fail
//! and is why the tables are this wide.

/// A written form and its ASCII spelling.
pub(super) type Spelled = (&'static str, &'static str);

/// The given and family names that go together.
#[derive(Debug)]
pub(super) struct Culture {
    /// Given names.
    pub(super) given: &'static [Spelled],
    /// Family names.
    pub(super) family: &'static [Spelled],
    /// The country that its people mostly give.
    pub(super) country: &'static str,
}

/// All cultures of the instance, drawn from with equal weight.
pub(super) const CULTURES: &[Culture] = &[
    Culture {
        given: &[
            ("Mary", "mary"),
            ("James", "james"),
            ("Olivia", "olivia"),
            ("Robert", "robert"),
            ("Siobhán", "siobhan"),
            ("Dwayne", "dwayne"),
            ("Anne-Marie", "anne-marie"),
            ("J. R.", "jr"),
        ],
        family: &[
            ("Smith", "smith"),
            ("O'Neill", "oneill"),
            ("Johnson", "johnson"),
            ("St. John-Smythe", "stjohn-smythe"),
            ("MacDonald", "macdonald"),
            ("Null", "null"),
            ("Taylor, Jr.", "taylor"),
            ("Wright", "wright"),
        ],
        country: "United States",
    },
    Culture {
        given: &[
            ("Jürgen", "juergen"),
            ("Käthe", "kaethe"),
            ("Anneliese", "anneliese"),
            ("Hans-Jörg", "hans-joerg"),
            ("Zoë", "zoe"),
            ("Till", "till"),
        ],
        family: &[
            ("Müller", "mueller"),
            ("Groß", "gross"),
            ("von der Böhmer", "boehmer"),
            ("Jäger", "jaeger"),
            ("Nullmeyer", "nullmeyer"),
            ("Weiß", "weiss"),
        ],
        country: "Germany",
    },
    Culture {
        given: &[
            ("François", "francois"),
            ("Chloé", "chloe"),
            ("Noëlle", "noelle"),
            ("Jean-Luc", "jean-luc"),
            ("Gwenaël", "gwenael"),
        ],
        family: &[
            ("d'Hérouville", "dherouville"),
            ("Lefèvre", "lefevre"),
            ("Bœuf", "boeuf"),
            ("Garçon", "garcon"),
            ("L’Écuyer", "lecuyer"),
        ],
        country: "France",
    },
    Culture {
        given: &[
            ("Łukasz", "lukasz"),
            ("Żaneta", "zaneta"),
            ("Jiří", "jiri"),
            ("Václav", "vaclav"),
            ("Ágnes", "agnes"),
        ],
        family: &[
            ("Wiśniewski", "wisniewski"),
            ("Dvořák", "dvorak"),
            ("Němcová", "nemcova"),
            ("Szőke", "szoke"),
            ("Błaszczykowski", "blaszczykowski"),
        ],
        country: "Poland",
    },
    Culture {
        given: &[
            ("José María", "jose.maria"),
            ("Íñigo", "inigo"),
            ("João", "joao"),
            ("Conceição", "conceicao"),
            ("Lucía", "lucia"),
        ],
        family: &[
            ("Núñez de la Peña", "nunez"),
            ("Gonçalves", "goncalves"),
            ("Muñoz", "munoz"),
            ("Assunção", "assuncao"),
            ("Ibáñez", "ibanez"),
        ],
        country: "Spain",
    },
    Culture {
        given: &[
            ("Øystein", "oystein"),
            ("Åsa", "asa"),
            ("Þórdís", "thordis"),
            ("Søren", "soren"),
            ("Päivi", "paivi"),
        ],
        family: &[
            ("Ødegård", "odegard"),
            ("Ångström", "angstrom"),
            ("Þorsteinsdóttir", "thorsteinsdottir"),
            ("Kjær", "kjaer"),
            ("Hämäläinen", "hamalainen"),
        ],
        country: "Norway",
    },
    Culture {
        given: &[
            ("Ольга", "olga"),
            ("Дмитро", "dmytro"),
            ("Ђорђе", "djordje"),
            ("Юрий", "yuri"),
            ("Цветана", "tsvetana"),
        ],
        family: &[
            ("Щербаков", "shcherbakov"),
            ("Їжакевич", "yizhakevych"),
            ("Живковић", "zivkovic"),
            ("Достоевская", "dostoevskaya"),
            ("Ёлкин", "yolkin"),
        ],
        country: "Serbia",
    },
    Culture {
        given: &[
            ("Αλέξανδρος", "alexandros"),
            ("Ευαγγελία", "evangelia"),
            ("Γιώργος", "giorgos"),
            ("Ηώ", "io"),
        ],
        family: &[
            ("Παπαδόπουλος", "papadopoulos"),
            ("Χατζηδάκη", "chatzidaki"),
            ("Βασιλείου", "vasileiou"),
            ("Ψαρράς", "psarras"),
        ],
        country: "Greece",
    },
    Culture {
        given: &[
            ("محمد", "mohammed"),
            ("فاطمة", "fatima"),
            ("عبد الرحمن", "abdelrahman"),
            ("لیلا", "leila"),
        ],
        family: &[
            ("الحسيني", "alhusseini"),
            ("بن سعيد", "bensaid"),
            ("خوارزمی", "khwarizmi"),
            ("المصري", "almasri"),
        ],
        country: "Egypt",
    },
    Culture {
        given: &[("יעל", "yael"), ("אברהם", "avraham"), ("נועה", "noa"), ("חיים", "chaim")],
        family: &[
            ("כהן", "cohen"),
            ("בן־דוד", "ben-david"),
            ("מזרחי", "mizrahi"),
            ("שפירא", "shapira"),
        ],
        country: "Israel",
    },
    Culture {
        given: &[("さくら", "sakura"), ("健太", "kenta"), ("ユウキ", "yuki"), ("美咲", "misaki")],
        family: &[
            ("渡邉", "watanabe"),
            ("髙橋", "takahashi"),
            ("佐藤", "sato"),
            ("𠮷田", "yoshida"),
        ],
        country: "Japan",
    },
    Culture {
        given: &[("伟", "wei"), ("秀英", "xiuying"), ("志明", "chiming"), ("欣怡", "xinyi")],
        family: &[("王", "wang"), ("歐陽", "ouyang"), ("张", "zhang"), ("司马", "sima")],
        country: "China",
    },
    Culture {
        given: &[("민준", "minjun"), ("서연", "seoyeon"), ("지우", "jiwoo"), ("하늘", "haneul")],
        family: &[("김", "kim"), ("이", "lee"), ("박", "park"), ("남궁", "namgung")],
        country: "South Korea",
    },
    Culture {
        given: &[
            ("प्रिया", "priya"),
            ("अर्जुन", "arjun"),
            ("கவிதா", "kavitha"),
            ("রবীন্দ্র", "rabindra"),
        ],
        family: &[
            ("शर्मा", "sharma"),
            ("त्रिपाठी", "tripathi"),
            ("சுப்பிரமணியன்", "subramanian"),
            ("চট্টোপাধ্যায়", "chattopadhyay"),
        ],
        country: "India",
    },
    Culture {
        given: &[("สมชาย", "somchai"), ("กัญญา", "kanya"), ("พลอย", "ploy"), ("ธนากร", "thanakorn")],
        family: &[
            ("ศรีสุข", "srisuk"),
            ("วงศ์สวัสดิ์", "wongsawat"),
            ("จันทร์เพ็ญ", "chanphen"),
            ("ทองดี", "thongdee"),
        ],
        country: "Thailand",
    },
    Culture {
        given: &[
            ("Thị Hồng", "hong"),
            ("Đức", "duc"),
            ("Quỳnh", "quynh"),
            ("Tuấn Anh", "tuan.anh"),
        ],
        family: &[("Nguyễn", "nguyen"), ("Nguyen", "nguyen"), ("Trần", "tran"), ("Đặng", "dang")],
        country: "Vietnam",
    },
    Culture {
        given: &[("Ayşe", "ayse"), ("İbrahim", "ibrahim"), ("Işıl", "isil"), ("Oğuz", "oguz")],
        family: &[
            ("Yıldız", "yildiz"),
            ("Şimşek", "simsek"),
            ("Çağlayan", "caglayan"),
            ("Öztürk", "ozturk"),
        ],
        country: "Turkey",
    },
];

/// Companies, with the label of their domain below example.com, example.org or example.net.
pub(super) const COMPANIES: &[Spelled] = &[
    ("Acme Widgets, Inc.", "acme"),
    ("\"Quoted\" & Sons, Ltd.", "quoted"),
    ("Müller, Schmidt & Co. KG", "mueller-schmidt"),
    ("株式会社サクラ電機", "sakura"),
    ("ООО «Северный ветер»", "sever"),
    ("Société Générale d'Élévation", "elevation"),
    ("Łódź Textiles Sp. z o.o.", "lodz-textiles"),
    ("شركة النيل للتجارة", "nile-trading"),
    ("Blue\nHeron Partners", "blue-heron"),
    ("🚀 Rocket & Sons", "rocket"),
    ("=HYPERLINK Studios", "hyperlink"),
    ("+Plus Media", "plus-media"),
    ("@tlas Freight", "atlas"),
    ("-Dash Analytics", "dash"),
    ("北京长城软件有限公司", "great-wall"),
    ("भारत सौर ऊर्जा", "bharat-solar"),
    ("Ελληνικά Ναυπηγεία", "shipyards"),
    ("Nordwind Logistik GmbH", "nordwind"),
    ("Null Island Surveying", "null-island"),
    ("Semi;colon\tTab Works", "semicolon"),
    ("บริษัท ช้างไทย จำกัด", "chang-thai"),
    ("Kowalski \\ Backslash", "kowalski"),
    ("Oasis Water 100%", "oasis"),
    ("קפה תל אביב", "cafe-tlv"),
    ("Contoso", "contoso"),
    ("Fjord & Fell ASA", "fjord-fell"),
    ("São João Alimentos S/A", "sao-joao"),
    ("Evergreen Health", "evergreen"),
    ("한빛 소프트", "hanbit"),
    ("Zażółć Gęślą Jaźń", "zazolc"),
];

/// The domains that people's private addresses are at, and that companies' domains lie below.
/// Reserved for examples.
pub(super) const ROOTS: &[&str] = &["example.com", "example.org", "example.net"];

/// Mailboxes that several people read.
pub(super) const ROLES: &[&str] = &["info", "sales", "office", "support", "billing", "hello"];

/// Job titles, some of which break a careless CSV reader or a spreadsheet.
pub(super) const TITLES: &[&str] = &[
    "CEO",
    "Head of Marketing, EMEA",
    "VP \"Growth\"",
    "Ingénieur",
    "Engineer\r\nPlatform",
    "=SUM(A1:A9)",
    "@home",
    "-",
    "+1 Manager",
    "Chief 🦄 Officer",
    "Buyer",
    "営業部長",
    "null",
    "Geschäftsführerin",
    "  Consultant ",
    "N/A",
];
