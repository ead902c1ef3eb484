//! The words in dates: months, weekdays, halves of the day, zones.

/// The months' names and their abbreviations, as Excel, Numbers, `LibreOffice` and Google Sheets
/// write them: English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish,
/// Norwegian, Finnish, Polish, Czech, Hungarian, Romanian, Turkish, Russian. No word means two
/// months.
const MONTHS: [&str; 12] = [
    "jan january jän jänner januar janv janvier ene enero gen gennaio janeiro januari tammi tammikuu tammikuuta sty styczeń stycznia led leden ledna január ian ianuarie oca ocak янв январь января",
    "feb february februar févr fév fevr février febrero febbraio fev fevereiro febbr februari helmi helmikuu helmikuuta lut luty lutego úno únor února febr február februarie şub şubat фев февр февраль февраля",
    "mar march mär mrz märz mars marzo março mrt maart marts maalis maaliskuu maaliskuuta marzec marca bře březen března márc március martie mart мар март марта",
    "apr april avr avril abr abril aprile huhti huhtikuu huhtikuuta kwi kwiecień kwietnia dub duben dubna ápr április aprilie nis nisan апр апрель апреля",
    "may mai mayo mag maggio maio mei maj touko toukokuu toukokuuta maja kvě květen května máj május mayıs май мая",
    "jun june juni juin junio giu giugno junho kesä kesäkuu kesäkuuta cze czerwiec czerwca čvn červen června jún június iun iunie haz haziran июн июнь июня",
    "jul july juli juil juillet julio lug luglio julho heinä heinäkuu heinäkuuta lip lipiec lipca čvc červenec července júl július iul iulie tem temmuz июл июль июля",
    "aug august août aout ago agosto augustus augusti elo elokuu elokuuta sie sierpień sierpnia srp srpen srpna augusztus ağu ağustos авг август августа",
    "sep sept september septembre septiembre setiembre set sett settembre setembro syys syyskuu syyskuuta wrz wrzesień września zář září szept szeptember septembrie eyl eylül сен сент сентябрь сентября",
    "oct october okt oktober octobre octubre ott ottobre out outubro loka lokakuu lokakuuta paź październik października říj říjen října október octombrie eki ekim окт октябрь октября",
    "nov november novembre noviembre novembro marras marraskuu marraskuuta lis listopad listopada listopadu noiembrie kas kasım ноя нояб ноябрь ноября",
    "dec december dez dezember déc décembre dic diciembre dicembre dezembro des desember joulu joulukuu joulukuuta gru grudzień grudnia pro prosinec prosince decembrie ara aralık дек декабрь декабря",
];

/// Weekdays of the same languages, which say nothing that the date does not.
const WEEKDAYS: &str = "mon monday tue tues tuesday wed wednesday thu thur thurs thursday fri friday sat saturday sun sunday \
    mo montag di dienstag mi mittwoch do donnerstag fr freitag sa samstag sonnabend so sonntag \
    lun lundi mardi mer mercredi jeu jeudi ven vendredi sam samedi dim dimanche \
    lunes mié miércoles mie jue jueves vie viernes sáb sábado sab dom domingo martes \
    lunedì martedì mercoledì giovedì gio venerdì sabato domenica \
    segunda terça ter quarta qua quinta qui sexta sex feira \
    maandag dinsdag woensdag wo donderdag vrijdag vr zaterdag za zondag zo ma \
    måndag mån tisdag tis onsdag ons torsdag tors fredag fre lördag lör söndag sön mandag man tirsdag tir tor lørdag lør søndag søn \
    maanantai tiistai keskiviikko torstai perjantai lauantai sunnuntai ke pe la su ti to \
    poniedziałek pon wtorek wt środa śr czwartek czw piątek pt sobota sob niedziela niedz nd \
    pondělí úterý středa čtvrtek pátek neděle po út st čt pá ne \
    pazartesi pzt salı sal çarşamba çar perşembe per cuma cum cumartesi cmt pazar paz \
    понедельник пн вторник вт среда ср четверг чт пятница пт суббота сб воскресенье вс";

/// Words between the parts of a date.
const FILLERS: &str = "de del of the le den der die el at um uhr à a alle las o kl klo om ás às st nd rd th er ème г года";

/// The month of a word in small letters.
pub(super) fn month(word: &str) -> Option<u32> {
    (1..)
        .zip(MONTHS)
        .find(|(_, names)| names.split(' ').any(|name| name == word))
        .map(|(number, _)| number)
}

pub(super) fn is_weekday(word: &str) -> bool {
    WEEKDAYS.split_ascii_whitespace().any(|day| day == word)
}

pub(super) fn is_filler(word: &str) -> bool {
    FILLERS.split(' ').any(|filler| filler == word)
}

/// Whether a word names the second half of the day; none where it names neither.
pub(super) fn is_afternoon(word: &str) -> Option<bool> {
    match word {
        "am" | "上午" | "午前" | "오전" | "πμ" | "öö" => Some(false),
        "pm" | "下午" | "午後" | "오후" | "μμ" | "ös" => Some(true),
        _ => None,
    }
}

/// A zone's hours from UTC. Abbreviations that mean two zones in the world (`IST`) are none, except
/// those of North America, which RFC 5322 gives one meaning.
pub(super) fn zone(word: &str) -> Option<i32> {
    Some(match word {
        "z" | "utc" | "gmt" | "wet" => 0,
        "bst" | "cet" | "mez" | "west" => 1,
        "cest" | "mesz" | "eet" => 2,
        "eest" => 3,
        "edt" => -4,
        "est" | "cdt" => -5,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" => -8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_means_two_months() {
        for (number, names) in (1..).zip(MONTHS) {
            for name in names.split(' ') {
                assert_eq!(month(name), Some(number), "{name}");
            }
        }
    }
}
