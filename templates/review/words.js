// The words that a person reads, and how a value is shown. No state, and nothing of the document.

const CHOICES = {
  merge: { key: "m", word: "Merge", done: "Will be merged", hint: "One record stays, the others are folded into it." },
  skip: { key: "s", word: "Skip", done: "Skipped", hint: "Leave this group alone in this plan." },
  hold: { key: "h", word: "Hold", done: "On hold", hint: "Leave it alone, in later plans too, until somebody has looked into it." },
  not_same: { key: "x", word: "Not the same", done: "Not the same", hint: "These are different people: never merge them, until the name or the address of one of them changes." },
};

const RISKS = {
  green: { word: "Nothing to decide", hint: "Only blank fields are filled." },
  amber: { word: "A rule decides", hint: "Values differ, and your rules say which stays." },
  red: { word: "You decide", hint: "It is merged only if you say so." },
};

const TABS = {
  safe: { word: "Safe", empty: "No safe group is waiting here.", about: "Your rules answer everything about these. They are merged as shown unless you say otherwise." },
  decide: { word: "Decide", empty: "No group waits for your decision here.", about: "These are merged only if you say so." },
  blocked: { word: "Blocked", empty: "No group is blocked.", about: "These cannot be merged as they are, and nothing can be decided about them here." },
  done: { word: "Done", empty: "Nothing is decided yet.", about: "What is decided so far. You can still change it until the plan is carried out." },
};

const ROLES = { winner: "Stays", loser: "Goes", left_out: "Left out" };

const RULES = {
  winner: "value of the record that stays",
  oldest: "value of the oldest record",
  newest: "value of the newest record",
  max: "the highest",
  min: "the lowest",
  sum: "added up",
  any_true: "yes if any record says yes",
  all_true: "yes if all records say yes",
  longest: "the longest",
  concat: "joined together",
  keep_blank: "value of the record that stays, blank or not",
  decided: "your choice",
};

function ruleInWords(rule) {
  if (RULES[rule]) return RULES[rule];
  if (rule.startsWith("prefer:")) return "the best by your ranking";
  if (rule.startsWith("by:-")) return `of the record whose ${rule.slice(4)} is earliest`;
  if (rule.startsWith("by:")) return `of the record whose ${rule.slice(3)} is latest`;
  if (rule.startsWith("bundle ")) return `together with the other ${rule.slice(7)} fields`;
  if (rule.startsWith("with ")) return `goes with ${rule.slice(5)}`;
  return rule;
}

const number = (count) => Number(count).toLocaleString("en");
const counted = (count, one, many) => `${number(count)} ${Number(count) === 1 ? one : many || `${one}s`}`;

// Words of the program begin as a sentence does.
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function shown(value) {
  if (value === null || value === undefined || value === "") return "blank";
  if (value === true) return "yes";
  if (value === false) return "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const isBlank = (value) => value === null || value === undefined || value === "";
const same = (one, other) => (isBlank(one) && isBlank(other)) || JSON.stringify(one) === JSON.stringify(other);
const day = (time) => (time ? time.slice(0, 10) : "");
const nameOf = (lead) => [lead.first_name, lead.last_name].filter(Boolean).join(" ");

// What a person types becomes the JSON that Marketo's data type takes; what does not fit stays a
// text, and is refused with words where the decisions are taken in.
function typedValue(text, dataType) {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const type = (dataType || "").toLowerCase();
  if (type === "boolean") return /^(yes|true|1)$/i.test(trimmed) ? true : /^(no|false|0)$/i.test(trimmed) ? false : trimmed;
  const isNumber = ["integer", "score", "percent", "float", "currency", "number"].includes(type);
  return isNumber && /^-?\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : trimmed;
}
