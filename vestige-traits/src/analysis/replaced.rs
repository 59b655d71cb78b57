//! What a stemmer of English leaves: forms that no ending tells, and what an apostrophe cuts off.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::stem::Stems;

/// A word and its irregular forms, then the next. What is another word more often is left out, as *bit*,
/// *bound*, *ground*, *left*, *lives*, *rose* and *wound* are, and so are words and forms whose stem is that
/// of other words: *rang* is to the stemmer what *range* is, *indices* what *indicate* is, *led* what *LEDs*
/// are, *won* what is left of *won't*, and *person* what *personal* is.
pub(super) const FORMS: &str = "\
    analysis analyses; appendix appendices; arise arose arisen; automaton automata; awake awoke awoken; \
    beat beaten; become became; befall befell befallen; begin began begun; bend bent; bite bitten; bleed bled; \
    blow blew blown; break broke broken; breed bred; bring brought; build built; burn burnt; buy bought; \
    calf calves; catch caught; child children; choose chose chosen; cling clung; come came; creep crept; \
    crisis crises; criterion criteria; deal dealt; diagnosis diagnoses; dig dug; draw drew drawn; dream dreamt; \
    drink drank drunk; drive drove driven; eat ate eaten; elf elves; fall fell fallen; feed fed; feel felt; \
    fight fought; find found; flee fled; fling flung; fly flew flown; foot feet; forbid forbade forbidden; \
    foresee foresaw foreseen; forget forgot forgotten; forgive forgave forgiven; freeze froze frozen; \
    fungus fungi; get got gotten; give gave given; go went gone; goose geese; grow grew grown; half halves; \
    hang hung; hear heard; hide hid hidden; hold held; hypothesis hypotheses; keep kept; kneel knelt; \
    knife knives; know knew known; lay laid; lean leant; leap leapt; learn learnt; lend lent; light lit; \
    loaf loaves; lose lost; make made; man men; matrix matrices; mean meant; meet met; mislead misled; \
    misspell misspelt; mistake mistook mistaken; misunderstand misunderstood; mouse mice; nucleus nuclei; \
    outgrow outgrew outgrown; outrun outran; overcome overcame; overhear overheard; overlay overlaid; \
    override overrode overridden; overrun overran; oversee oversaw overseen; overshoot overshot; \
    overtake overtook overtaken; overthrow overthrew overthrown; overwrite overwrote overwritten; ox oxen; \
    parenthesis parentheses; pay paid; phenomenon phenomena; prebuild prebuilt; radius radii; rebuild rebuilt; \
    redo redid redone; redraw redrew redrawn; remake remade; repay repaid; rerun reran; retake retook retaken; \
    rethink rethought; rethrow rethrew rethrown; rewrite rewrote rewritten; ride rode ridden; rise risen; \
    run ran; say said; scarf scarves; schema schemata; see saw seen; seek sought; sell sold; send sent; \
    sew sewn; shake shook shaken; shelf shelves; shine shone; shoot shot; show shown; \
    shrink shrank shrunk shrunken; sing sang sung; sink sank sunk; sit sat; sleep slept; slide slid; \
    sling slung; smell smelt; sow sown; speak spoke spoken; speed sped; spell spelt; spend spent; spill spilt; \
    spin spun; spoil spoilt; spring sprang sprung; stand stood; steal stole stolen; stick stuck; sting stung; \
    stink stank stunk; strike struck stricken; strive strove striven; swear swore sworn; sweep swept; \
    swell swollen; swim swam swum; swing swung; take took taken; teach taught; tear tore torn; tell told; \
    thief thieves; think thought; throw threw thrown; tooth teeth; tread trod trodden; \
    undergo underwent undergone; understand understood; undertake undertook undertaken; undo undid undone; \
    unfreeze unfroze unfrozen; unwind unwound; uphold upheld; wake woke woken; wear wore worn; weave wove woven; \
    weep wept; wife wives; withdraw withdrew withdrawn; withhold withheld; withstand withstood; wolf wolves; \
    woman women; wring wrung; write wrote written";

/// *Cannot*, and what is left of *didn't* and *we've* where a word ends at the apostrophe: stop words and
/// parts of them, that are no other word. What is one, as *won*, *ll* and *re* are, stays.
pub(super) const PARTS: &str = "\
    aren cannot couldn didn doesn hadn hasn isn mustn shouldn ve wasn weren wouldn";

/// The stems that something else takes the place of: the stem of the word, where it is of an irregular form
/// of it; nothing, where it is of a part of a stop word.
///
/// Every text with *broke* or *broken* is a text with *break*, and so is every question. A backend that stems
/// by itself has to do the same.
pub fn replaced_stems() -> &'static HashMap<String, Option<String>> {
    static STEMS: LazyLock<HashMap<String, Option<String>>> = LazyLock::new(|| {
        let stems = Stems::default();
        let of = |word| stems.of(word).into_owned();
        let mut replaced: HashMap<String, Option<String>> =
            PARTS.split(' ').map(|part| (of(part), None)).collect();
        for forms in FORMS.split("; ") {
            let mut forms = forms.split(' ').map(of);
            let word = forms.next();
            replaced.extend(forms.map(|form| (form, word.clone())));
        }
        replaced
    });
    &STEMS
}
