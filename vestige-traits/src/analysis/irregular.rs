//! Forms of English words that no stemmer leads back to their word.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Stems;

/// A word and its irregular forms, then the next. What is another word more often is left out, as *bit*, *bound*,
/// *ground*, *lives*, *rose* and *wound* are, and so are forms whose stem is that of other words: *rang* is to the stemmer
/// what *range* is, *indices* what *indicate* is, *proven* what *provenance* is.
pub(super) const FORMS: &str = "\
    arise arose arisen; awake awoke awoken; beat beaten; become became; befall befell befallen; \
    begin began begun; bend bent; bite bitten; bleed bled; blow blew blown; break broke broken; breed bred; \
    bring brought; build built; burn burnt; buy bought; calf calves; catch caught; child children; \
    choose chose chosen; cling clung; come came; creep crept; crisis crises; criterion criteria; deal dealt; \
    dig dug; draw drew drawn; dream dreamt; drink drank drunk; drive drove driven; eat ate eaten; elf elves; \
    fall fell fallen; feed fed; feel felt; fight fought; find found; flee fled; fling flung; fly flew flown; \
    foot feet; forbid forbade forbidden; foresee foresaw foreseen; forget forgot forgotten; \
    forgive forgave forgiven; freeze froze frozen; fungus fungi; get got gotten; give gave given; go went gone; \
    goose geese; grow grew grown; half halves; hang hung; hear heard; hide hid hidden; hold held; \
    hypothesis hypotheses; keep kept; kneel knelt; knife knives; know knew known; lay laid; lead led; \
    lean leant; leap leapt; learn learnt; leave left; lend lent; light lit; loaf loaves; lose lost; make made; \
    man men; matrix matrices; mean meant; meet met; mislead misled; misspell misspelt; mistake mistook mistaken; \
    misunderstand misunderstood; mouse mice; nucleus nuclei; outgrow outgrew outgrown; overcome overcame; \
    overhear overheard; override overrode overridden; overtake overtook overtaken; \
    overthrow overthrew overthrown; overwrite overwrote overwritten; ox oxen; pay paid; person people; \
    phenomenon phenomena; rebuild rebuilt; redo redid redone; repay repaid; rerun reran; retake retook retaken; \
    rethink rethought; rewrite rewrote rewritten; ride rode ridden; rise risen; run ran; say said; \
    scarf scarves; see saw seen; seek sought; sell sold; send sent; sew sewn; shake shook shaken; shelf shelves; \
    shine shone; shoot shot; show shown; shrink shrank shrunk; sing sang sung; sink sank sunk; sit sat; \
    sleep slept; slide slid; sling slung; smell smelt; sow sown; speak spoke spoken; speed sped; spell spelt; \
    spend spent; spill spilt; spin spun; spoil spoilt; spring sprang sprung; stand stood; steal stole stolen; \
    stick stuck; sting stung; stink stank stunk; strike struck stricken; strive strove striven; \
    swear swore sworn; sweep swept; swell swollen; swim swam swum; swing swung; take took taken; teach taught; \
    tear tore torn; tell told; thief thieves; think thought; throw threw thrown; tooth teeth; \
    tread trod trodden; undergo underwent undergone; understand understood; undertake undertook undertaken; \
    undo undid undone; unwind unwound; uphold upheld; wake woke woken; wear wore worn; weave wove woven; \
    weep wept; wife wives; win won; withdraw withdrew withdrawn; withhold withheld; withstand withstood; \
    wolf wolves; woman women; wring wrung; write wrote written";

/// The stem of each irregular form, and the stem of the word that it is a form of.
///
/// Every text with *broke* or *broken* is a text with *break*, and so is every question. Stems are merged and never split:
/// what one question found before, it finds still. A backend that stems by itself has to do the same.
pub fn irregular_stems() -> &'static HashMap<String, String> {
    static STEMS: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let stems = Stems::default();
        let mut merged = HashMap::new();
        for forms in FORMS.split("; ") {
            let mut forms = forms.split(' ').map(|form| stems.of(form).into_owned());
            let word = forms.next().unwrap_or_default();
            merged.extend(forms.map(|form| (form, word.clone())));
        }
        merged
    });
    &STEMS
}
