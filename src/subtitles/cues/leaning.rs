//! What each language says of words at the end of a line: which ones lean on the next word, before which a break is a
//! good one, whose point ends no sentence. A language without a table has no such words. Knows words alone.

use crate::language::{Language, hiragana};

/// The words of a language, in small letters.
#[derive(Debug)]
pub(super) struct Rules {
    /// Words that lean on what follows: articles, possessives, prepositions, conjunctions. Nothing may end behind one.
    leaning: &'static [&'static str],
    /// Words that lean a little: pronouns and auxiliaries.
    leaning_a_little: &'static [&'static str],
    /// A name follows them, and their point ends no sentence.
    titles: &'static [&'static str],
    /// Words before which a break is a good one.
    opening: &'static [&'static str],
    /// Whether a capital inside a sentence means a name.
    capitals_are_names: bool,
}

const NONE: Rules = Rules { leaning: &[], leaning_a_little: &[], titles: &[], opening: &[], capitals_are_names: true };

const ENGLISH: Rules = Rules {
    leaning: &[
        "a", "an", "the", "my", "your", "his", "her", "its", "our", "their", "this", "these", "those", "of", "to",
        "in", "on", "at", "by", "for", "with", "from", "into", "onto", "upon", "over", "under", "between", "through",
        "about", "against", "without", "and", "or", "but", "nor", "so", "as", "if", "that", "than", "because", "when",
        "while", "who", "which", "whose", "where", "very",
    ],
    leaning_a_little: &[
        "i", "he", "she", "we", "they", "you", "it", "is", "are", "was", "were", "be", "been", "am", "has", "have",
        "had", "do", "does", "did", "will", "would", "can", "could", "shall", "should", "may", "might", "must", "not",
        "no",
    ],
    titles: &["mr", "mrs", "ms", "dr", "st", "prof"],
    opening: &[
        "and", "or", "but", "nor", "so", "because", "that", "which", "who", "when", "while", "where", "if", "than",
        "as", "of", "to", "in", "on", "at", "by", "for", "with", "from", "into", "about", "after", "before", "until",
        "though", "although",
    ],
    capitals_are_names: true,
};

const GERMAN: Rules = Rules {
    leaning: &[
        "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "eines", "kein", "keine",
        "keinen", "mein", "meine", "dein", "deine", "sein", "seine", "ihr", "ihre", "unser", "unsere", "dieser",
        "diese", "dieses", "diesen", "und", "oder", "aber", "sondern", "denn", "dass", "weil", "wenn", "als", "ob",
        "wie", "in", "im", "ins", "an", "am", "ans", "auf", "aus", "bei", "beim", "mit", "nach", "von", "vom", "vor",
        "zu", "zum", "zur", "über", "unter", "für", "durch", "gegen", "ohne", "um", "zwischen", "sehr",
    ],
    leaning_a_little: &[
        "ich", "du", "er", "sie", "es", "wir", "man", "ist", "sind", "war", "waren", "hat", "haben", "hatte", "wird",
        "nicht",
    ],
    titles: &["hr", "fr", "dr", "prof", "st"],
    opening: &[
        "und", "oder", "aber", "sondern", "denn", "dass", "weil", "wenn", "als", "ob", "der", "die", "das", "in",
        "mit", "von", "zu", "für", "auf",
    ],
    capitals_are_names: false,
};

const FRENCH: Rules = Rules {
    leaning: &[
        "le", "la", "les", "un", "une", "des", "du", "de", "au", "aux", "mon", "ma", "mes", "ton", "ta", "tes", "son",
        "sa", "ses", "notre", "nos", "votre", "vos", "leur", "leurs", "ce", "cet", "cette", "ces", "et", "ou", "mais",
        "donc", "ni", "car", "que", "qui", "dont", "où", "si", "quand", "comme", "à", "en", "dans", "sur", "sous",
        "par", "pour", "avec", "sans", "chez", "entre", "vers", "contre", "très",
    ],
    leaning_a_little: &[
        "je", "tu", "il", "elle", "on", "nous", "vous", "ils", "elles", "ne", "se", "me", "te", "est", "sont", "a",
        "ont", "y",
    ],
    titles: &["m", "mm", "mme", "mlle", "dr", "st", "ste"],
    opening: &[
        "et", "ou", "mais", "donc", "car", "que", "qui", "dont", "quand", "si", "comme", "de", "à", "dans", "sur",
        "par", "pour", "avec",
    ],
    capitals_are_names: true,
};

const SPANISH: Rules = Rules {
    leaning: &[
        "el", "la", "los", "las", "un", "una", "unos", "unas", "lo", "al", "del", "mi", "mis", "tu", "tus", "su",
        "sus", "nuestro", "nuestra", "este", "esta", "estos", "estas", "ese", "esa", "y", "e", "o", "u", "ni", "pero",
        "sino", "que", "si", "porque", "cuando", "como", "donde", "cuyo", "de", "a", "en", "con", "por", "para", "sin",
        "sobre", "entre", "hasta", "desde", "contra", "hacia", "muy",
    ],
    leaning_a_little: &[
        "yo", "tú", "él", "ella", "me", "te", "se", "nos", "le", "les", "no", "es", "son", "era", "ha", "han", "he",
        "hay",
    ],
    titles: &["sr", "sra", "srta", "dr", "dra", "d"],
    opening: &[
        "y", "o", "pero", "sino", "que", "porque", "cuando", "como", "donde", "si", "de", "a", "en", "con", "por",
        "para",
    ],
    capitals_are_names: true,
};

const ITALIAN: Rules = Rules {
    leaning: &[
        "il", "lo", "la", "i", "gli", "le", "un", "uno", "una", "del", "dello", "della", "dei", "degli", "delle", "al",
        "allo", "alla", "ai", "agli", "alle", "dal", "dalla", "nel", "nella", "nei", "sul", "sulla", "mio", "mia",
        "tuo", "tua", "suo", "sua", "questo", "questa", "e", "ed", "o", "ma", "che", "se", "perché", "quando", "come",
        "dove", "di", "a", "da", "in", "con", "su", "per", "tra", "fra", "senza", "molto",
    ],
    leaning_a_little: &[
        "io", "lui", "lei", "noi", "voi", "mi", "ti", "si", "ci", "vi", "non", "è", "sono", "ha", "hanno", "ho", "era",
    ],
    titles: &["sig", "sigg", "dott", "prof", "avv"],
    opening: &[
        "e", "o", "ma", "che", "perché", "quando", "come", "dove", "se", "di", "a", "da", "in", "con", "su", "per",
    ],
    capitals_are_names: true,
};

const PORTUGUESE: Rules = Rules {
    leaning: &[
        "o", "a", "os", "as", "um", "uma", "uns", "umas", "do", "da", "dos", "das", "no", "na", "nos", "nas", "ao",
        "à", "aos", "às", "pelo", "pela", "meu", "minha", "teu", "tua", "seu", "sua", "nosso", "nossa", "este", "esta",
        "esse", "essa", "e", "ou", "mas", "que", "se", "porque", "quando", "como", "onde", "de", "em", "com", "por",
        "para", "sem", "sobre", "entre", "até", "desde", "contra", "muito",
    ],
    leaning_a_little: &[
        "eu", "tu", "ele", "ela", "nós", "eles", "me", "te", "lhe", "não", "é", "são", "era", "foi", "há", "tem",
        "está",
    ],
    titles: &["sr", "sra", "dr", "dra", "d"],
    opening: &["e", "ou", "mas", "que", "porque", "quando", "como", "onde", "se", "de", "em", "com", "por", "para"],
    capitals_are_names: true,
};

const DUTCH: Rules = Rules {
    leaning: &[
        "de", "het", "een", "mijn", "jouw", "zijn", "haar", "ons", "onze", "hun", "deze", "dit", "die", "dat", "en",
        "of", "maar", "want", "omdat", "als", "toen", "dan", "wie", "waar", "van", "in", "op", "aan", "bij", "met",
        "voor", "door", "naar", "uit", "over", "onder", "tussen", "tegen", "zonder", "om", "tot", "te", "heel",
    ],
    leaning_a_little: &[
        "ik", "jij", "je", "hij", "zij", "ze", "wij", "we", "is", "was", "waren", "heeft", "hebben", "had", "niet",
        "geen",
    ],
    titles: &["dhr", "mevr", "dr", "prof", "st"],
    opening: &[
        "en", "of", "maar", "want", "omdat", "als", "dat", "die", "toen", "van", "in", "op", "met", "voor", "door",
        "naar",
    ],
    capitals_are_names: true,
};

/// Chinese particles that belong to what stands before them: no line begins with one.
const CHINESE_BACKWARD: &[char] =
    &['的', '了', '吗', '嗎', '呢', '吧', '着', '著', '过', '過', '们', '們', '啊', '嘛', '得', '地'];

/// What a language says; nothing where it isn't known or has no table.
pub(super) fn rules(language: &Language) -> &'static Rules {
    match language.code() {
        "en" => &ENGLISH,
        "de" => &GERMAN,
        "fr" => &FRENCH,
        "es" => &SPANISH,
        "it" => &ITALIAN,
        "pt" => &PORTUGUESE,
        "nl" => &DUTCH,
        _ => &NONE,
    }
}

impl Rules {
    /// Whether nothing may end behind it.
    pub fn leans(&self, bare: &str) -> bool {
        self.leaning.contains(&bare)
    }

    /// Whether better nothing ends behind it.
    pub fn leans_a_little(&self, bare: &str) -> bool {
        self.leaning_a_little.contains(&bare)
    }

    /// Whether a name follows it.
    pub fn is_title(&self, bare: &str) -> bool {
        self.titles.contains(&bare)
    }

    /// Whether a break before it is a good one.
    pub fn opens(&self, bare: &str) -> bool {
        self.opening.contains(&bare)
    }

    /// Whether capitals inside a sentence mean names: not in German, where every noun has one.
    pub fn capitals_are_names(&self) -> bool {
        self.capitals_are_names
    }
}

/// Whether a word belongs to the one before it, so that no line should begin with it: particles and endings of
/// Japanese, which are written in hiragana behind what they belong to, and particles of Chinese.
pub(super) fn leans_back(before: &str, after: &str, language: &Language) -> bool {
    let Some(first) = after.chars().next() else { return false };
    match language.code() {
        "ja" => hiragana(first) && before.chars().next_back().is_some_and(char::is_alphanumeric),
        "zh" | "yue" | "wuu" => {
            CHINESE_BACKWARD.contains(&first) && after.chars().filter(|c| c.is_alphanumeric()).count() == 1
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_in_small_letters_and_hold_nothing_twice() {
        for table in [&ENGLISH, &GERMAN, &FRENCH, &SPANISH, &ITALIAN, &PORTUGUESE, &DUTCH] {
            for list in [table.leaning, table.leaning_a_little, table.titles, table.opening] {
                let mut sorted = list.to_vec();
                sorted.sort_unstable();
                sorted.dedup();
                assert_eq!(sorted.len(), list.len(), "{list:?}");
                assert!(list.iter().all(|w| w.to_lowercase() == *w && !w.is_empty()));
            }
            assert!(table.leaning.iter().all(|w| !table.leaning_a_little.contains(w)));
        }
    }

    #[test]
    fn a_language_without_a_table_has_no_rules() {
        let polish = rules(&Language::of("pl"));
        assert!(!polish.leans("the") && !polish.leans("a") && !polish.opens("and"));
        assert!(rules(&Language::of("de-AT")).leans("der") && !rules(&Language::of("de")).leans("the"));
        assert!(leans_back("東京", "は", &Language::of("ja")) && !leans_back("東京", "は", &Language::of("zh")));
        assert!(!leans_back("東京。", "はい", &Language::of("ja")));
    }
}
