//! Small texts of every script and shape of code, with questions that must find them or must not.

use vestige_traits::{MemoryStore, SearchQuery};

use crate::fixtures::*;
use crate::{StoreFactory, TestBed};

/// A memory, questions that find it, and questions that do not.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

async fn check(bed: &TestBed<impl StoreFactory>, rows: &[Row]) {
    let records: Vec<_> = (1..).zip(rows).map(|(n, (content, ..))| memory(n, *content)).collect();
    bed.store.insert_batch(&records).await.unwrap();
    for (n, (content, finding, missing)) in (1..).zip(rows) {
        let questions = finding.iter().map(|text| (text, true));
        for (question, expected) in questions.chain(missing.iter().map(|text| (text, false))) {
            let results = bed.store.search(&SearchQuery::text(*question).limit(1000)).await.unwrap();
            assert_eq!(found(&results).contains(&id(n)), expected, "{question:?} in {content:?}");
        }
    }
}

/// The memories in the order in which a question finds them.
async fn ranked(bed: &TestBed<impl StoreFactory>, contents: &[&str], question: &str) -> Vec<uuid::Uuid> {
    let records: Vec<_> = (1..).zip(contents).map(|(n, content)| memory(n, content.to_owned())).collect();
    bed.store.insert_batch(&records).await.unwrap();
    found(&bed.store.search(&SearchQuery::text(question).limit(1000)).await.unwrap())
}

pub async fn chinese_and_japanese_words_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "数据库每天晚上重新启动",
            &["数据库", "重新启动", "晚上数据", "\"每天晚上\""],
            &["缓存", "\"晚上每天\""],
        ),
        ("重跑gen-itgc后清零", &["itgc", "gen-itgc", "重跑", "清零", "genitgc"], &["abc"]),
        ("我家的猫很怕打雷", &["猫", "打雷", "猫怕不怕打雷呢"], &["狗"]),
        ("東京大阪間の新幹線", &["東京", "新幹線", "\"東京 大阪\"", "大阪"], &["京都", "\"大阪 東京\""]),
        ("サーバーを再起動する", &["サーバー", "ｻｰﾊﾞｰ", "再起動", "\"再起動する\""], &["クライアント"]),
        ("ひらがなだけのぶん", &["ひらがな", "だけ"], &["カタカナ"]),
        ("端口是８０８０，使用ＨＴＴＰＳ", &["8080", "https", "端口"], &["8081"]),
        ("臺北的天氣", &["臺北", "天氣"], &["北臺"]),
        ("𠮷野家で食べる", &["𠮷野家", "食べる", "𠮷"], &["吉野"]),
        ("版本2.0发布于2026年", &["2.0", "2026", "发布"], &["2025"]),
    ];
    check(bed, rows).await;
}

pub async fn exclusions_hold_in_scripts_without_spaces(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("東京の会議", &["会議 -大阪", "東京 -\"大阪 会議\""], &["会議 -東京", "会議 -東"]),
        ("ประชุมที่กรุงเทพ", &["ประชุม -เชียงใหม่"], &["ประชุม -กรุงเทพ"]),
        ("서울에서 회의", &["회의 -부산"], &["회의 -서울"]),
    ];
    check(bed, rows).await;
}

pub async fn korean_words_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("데이터베이스를 다시 시작했다", &["데이터베이스", "베이스", "시작"], &["서버"]),
        ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} 문서", &["한글", "문서"], &["영어"]),
        ("API키가 만료되었다", &["api", "만료", "키"], &["토큰"]),
    ];
    check(bed, rows).await;
}

pub async fn words_of_southeast_asia_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("เซิร์ฟเวอร์รีสตาร์ททุกคืน", &["เซิร์ฟเวอร์", "ทุกคืน", "\"ทุก คืน\""], &["หมา", "\"คืนทุก\""]),
        ("น้ำดื่มสะอาด", &["น้ำ", "ดื่ม"], &["ไฟ"]),
        ("ຖານຂໍ້ມູນປິດແລ້ວ", &["ຖານຂໍ້ມູນ", "ປິດ"], &["ໝາ"]),
        ("មូលដ្ឋានទិន្នន័យខ្មែរ", &["ខ្មែរ", "ទិន្នន័យ"], &["ឆ្កែ"]),
        ("မြန်မာဘာသာစကား", &["မြန်မာ", "ဘာသာ"], &["ခွေး"]),
        ("ใช้ Docker รันบริการ", &["docker", "บริการ"], &["podman"]),
        ("Cơ sở dữ liệu của bạn", &["dữ liệu", "du lieu", "DỮ LIỆU"], &["máy tính"]),
    ];
    check(bed, rows).await;
}

pub async fn indic_words_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("हिन्दी में लिखा गया", &["हिन्दी", "लिखा"], &["हिन", "दी"]),
        ("क्\u{200d}षमता बढ़ी", &["क्षमता", "बढ़ी"], &["षमता"]),
        ("বাংলা ভাষার বই", &["বাংলা", "বই"], &["হিন্দি"]),
        ("வீடுகளின் விலை", &["வீடுகள்", "விலை"], &["நாய்"]),
        ("తెలుగు పుస్తకం", &["తెలుగు"], &["కన్నడ"]),
        ("पृष्ठ १२३", &["123", "१२३", "पृष्ठ"], &["124"]),
    ];
    check(bed, rows).await;
}

pub async fn arabic_persian_and_hebrew_words_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("كَتَبَ الطَّالِبُ الدَّرْسَ", &["كتب", "الطالب", "طالب", "الدرس"], &["معلم"]),
        ("والمكتبات مفتوحة", &["المكتبات", "مكتبة", "مفتوحة"], &["مدرسة"]),
        ("الكتـــاب الجديد", &["الكتاب", "كتاب", "\"الكتاب الجديد\""], &["قديم"]),
        ("أحمد في المنزل", &["احمد", "أحمد", "منزل"], &["محمد"]),
        ("می‌خواهم کتاب‌ها را ببینم", &["میخواهم", "می خواهم", "كتاب", "کتابها", "می‌خواهم"], &["خانه"]),
        ("שָׁלוֹם עוֹלָם", &["שלום", "עולם", "שָׁלוֹם"], &["בית"]),
        ("צה״ל הודיע", &["צהל", "צה״ל", "הודיע"], &["משטרה"]),
        ("منفذ ٨٠٨٠", &["8080", "٨٠٨٠", "منفذ"], &["8081"]),
    ];
    check(bed, rows).await;
}

pub async fn cyrillic_and_greek_words_match_by_their_stem(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "Сервер базы данных перезапускается каждую ночь",
            &["база", "серверы", "СЕРВЕРА", "ночью"],
            &["собака"],
        ),
        ("Ёлка стоит в зале", &["елка", "ёлки", "зал"], &["мой"]),
        ("Мой йод кончился", &["мой", "йод"], &["мои", "иод"]),
        ("Їжак живе в лісі", &["їжак", "лісі"], &["іжак"]),
        ("Базата данни се рестартира", &["базата", "данни"], &["куче"]),
        ("Docker-контейнер упал", &["docker", "контейнеры", "\"docker контейнер\""], &["pod"]),
        ("ΣΊΣΥΦΟΣ και πέτρα", &["σισυφος", "Σίσυφος", "πετρα"], &["Τάνταλος"]),
        ("των κυβερνήσεων", &["κυβέρνηση", "κυβερνήσεις"], &["σπίτι"]),
    ];
    check(bed, rows).await;
}

pub async fn letters_of_latin_languages_are_folded(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("Die Straße ist gesperrt", &["STRASSE", "straße", "strasse"], &["weg"]),
        ("İSTANBUL'da yağmur", &["istanbul", "İstanbul", "yagmur"], &["ankara"]),
        ("ısı pompası", &["isi", "ISI", "ısı"], &["su"]),
        ("Łódź i Gdańsk", &["lodz", "łódź", "gdansk"], &["praha"]),
        ("Smørrebrød på Ærø", &["smorrebrod", "aero", "ærø"], &["bergen"]),
        ("Đorđe piše", &["dorde", "đorđe"], &["marko"]),
        ("Þórður á Íslandi", &["thordur", "islandi"], &["noregi"]),
        ("œuvre complète", &["oeuvre", "complete"], &["livre"]),
        ("ﬁnal eﬀort", &["final", "effort"], &["start"]),
        ("co\u{ad}oper\u{200b}ate \u{feff}marker", &["cooperate", "marker"], &["oper"]),
    ];
    check(bed, rows).await;
}

pub async fn a_compound_is_found_by_its_last_part(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "Die Bundesregierung hat den Haushalt beschlossen",
            &["wo ist die Regierung?", "was ist eine Landesregierung?"],
            &["was ist die Entdeckung?"],
        ),
        (
            "De ziekteverzekering betaalt dat niet",
            &["wat is een reisverzekering?"],
            &["wat is een herinnering"],
        ),
        ("Det är en livförsäkring och inte mer", &["vad är en hemförsäkring"], &["vad är en undersökning"]),
    ];
    check(bed, rows).await;
}

pub async fn words_match_by_their_stem_in_latin_languages(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "Die Regierungen haben sich nicht geeinigt",
            &["Regierung", "wo ist die Regierung?"],
            &["Parlament"],
        ),
        ("Las informaciones no están en el archivo", &["información", "dónde están los archivos"], &["base"]),
        ("Les bases de données sont sur le serveur", &["donnée", "les serveurs"], &["chien"]),
        ("As informações estão no servidor", &["informação", "onde estão os servidores"], &["casa"]),
        ("Le informazioni sono nei file", &["informazione", "dove sono le informazioni"], &["cane"]),
        ("De mogelijkheden van het systeem", &["mogelijkheid", "systemen van het"], &["hond"]),
        (
            "Tietokannan varmuuskopiot ovat tallessa",
            &["varmuuskopio", "missä ovat varmuuskopiot"],
            &["koira"],
        ),
        ("Az adatbázisok nem elérhetők", &["adatbázis", "hol van az adatbázis"], &["kutya"]),
        ("Bazele de date sunt pe server", &["unde este baza", "serverul este unde"], &["câine"]),
        ("Nie ma możliwości zapisu", &["możliwość", "jaka jest możliwość"], &["pies"]),
        ("Veritabanının yedekleri nerede ve nasıl", &["veritabanı", "yedekler"], &["köpek"]),
    ];
    check(bed, rows).await;
}

pub async fn stop_words_alone_are_a_question(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("Ask IT about the laptop", &["IT", "laptop"], &["it printer"]),
        ("Will called on Monday", &["Will", "will"], &["will Tuesday"]),
        ("A record by The Who", &["The Who", "the who"], &["Rolling the Stones"]),
        ("to be or not to be", &["to be", "not"], &["what question"]),
    ];
    check(bed, rows).await;
}

pub async fn emoji_and_signs_are_found(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("shipped 🎉🎉", &["🎉", "shipped 🎉", "🎉\u{fe0f}"], &["🚀", "shipped -🎉"]),
        ("approved 👍🏽", &["👍🏽", "👍"], &["👎"]),
        ("flag 🇩🇪", &["🇩🇪"], &["🇫🇷"]),
        ("team 👩\u{200d}💻", &["👩\u{200d}💻", "👩"], &["👨"]),
        ("I ❤️ tea", &["❤", "❤️"], &["💔"]),
        ("costs 5 €", &["€", "5"], &["£"]),
    ];
    check(bed, rows).await;
}

pub async fn identifiers_are_found_by_their_parts_and_whole(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "call parseHTMLResponse here",
            &["html", "response", "parse_html_response", "parsehtmlresponse"],
            &["xml"],
        ),
        ("getUserName", &["get_user_name", "get-user-name", "user", "GetUserName"], &["profile"]),
        ("max_retry_count = 3", &["maxRetryCount", "retry", "MAX_RETRY_COUNT", "\"max retry\""], &["min"]),
        ("XMLHttpRequest", &["xml", "http", "request", "XmlHttpRequest"], &["json"]),
        ("the gen-itgc job", &["itgc", "gen_itgc", "genItgc"], &["itg"]),
        ("uses @scope/pkg-name@1.2.3", &["@scope/pkg-name", "pkg-name", "scope", "1.2.3"], &["\"12.3\""]),
        ("src/analysis/fold.rs:42", &["fold.rs", "src/analysis/fold.rs", "analysis", "42"], &["main"]),
        (r"C:\temp\build.log", &["build.log", "temp"], &["tmp"]),
        ("std::io::Error", &["io::Error", "error", "std::io::Error"], &["fmt"]),
        ("python3 and utf8", &["python", "python3", "utf-8", "utf8"], &["java"]),
        (
            "see https://example.org/a_page",
            &["example.org", "a_page", "https://example.org/a_page"],
            &["net"],
        ),
        ("mail jo.doe@example.net", &["jo.doe@example.net", "example.net", "doe"], &["ann"]),
        ("the URLs and LEDs", &["url", "led"], &["ur"]),
        ("__init__ is empty", &["init", "__init__"], &["ini"]),
    ];
    check(bed, rows).await;
}

pub async fn numbers_keep_their_dots(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("release v1.23.4", &["1.23.4", "v1.23.4", "\"v1.23.4\""], &["\"12.34\"", "\"1.2.34\""]),
        ("host 192.168.10.7", &["192.168.10.7", "\"192.168.10.7\""], &["\"19.216.810.7\"", "11.1.2.3"]),
        ("ratio 1.23", &["1.23"], &["\"12.3\"", "123"]),
        ("on 2026-11-30", &["2026-11-30", "\"2026/11/30\"", "2026"], &["\"2026-1-130\""]),
    ];
    check(bed, rows).await;
}

pub async fn signs_of_languages_tell_them_apart(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        ("written in C", &["C", "c"], &["C++", "C#"]),
        ("written in C++", &["C++", "c++"], &["C", "C#"]),
        ("written in C#", &["C#", "c#"], &["C", "C++", "F#"]),
        ("written in F#", &["F#"], &["F", "C#"]),
        ("written for .NET 8", &[".NET", ".net", "net"], &["C#"]),
        ("ASP.NET and C++17", &["C++", "asp.net", "c++17"], &["C"]),
        ("edit .gitignore", &[".gitignore", "gitignore"], &[".env"]),
    ];
    check(bed, rows).await;
}

pub async fn a_hash_is_found_by_its_first_digits(bed: &TestBed<impl StoreFactory>) {
    let rows: &[Row] = &[
        (
            "fixed in 3f9d2ab07c64e18890ab",
            &["3f9d2ab", "3F9D2AB0", "3f9d2ab07c64", "3f9d2ab07c64e18890ab"],
            &["3f9d2a", "3f9d2ac", "9d2ab07"],
        ),
        ("id 550e8400-e29b-41d4-a716-446655440000", &["550e8400", "550e840", "e29b"], &["550e841"]),
        ("short 0a1b2c3", &["0a1b2c3", "0a1b2c3d4e5f"], &["0a1b2c4d"]),
    ];
    check(bed, rows).await;
}

pub async fn the_whole_of_a_name_counts_for_more_than_its_parts(bed: &TestBed<impl StoreFactory>) {
    let contents = ["the user profile page", "call getUserProfile first", "get the profile", "nothing of it"];
    assert_eq!(ranked(bed, &contents, "get_user_profile").await[0], id(2));
}

pub async fn a_name_is_found_before_texts_with_its_parts(bed: &TestBed<impl StoreFactory>) {
    let contents =
        ["17 items and a heron", "a violet heron", "the run violet-heron-17 failed", "violet 17", "other"];
    assert_eq!(ranked(bed, &contents, "violet-heron-17").await[0], id(3));
}

pub async fn of_a_long_question_the_rarest_terms_count(bed: &TestBed<impl StoreFactory>) {
    let frames: Vec<String> = (0..200).map(|n| format!("at frame{n} of module{n} in worker")).collect();
    let fillers: Vec<String> = frames.iter().flat_map(|frame| [frame.clone(), frame.clone()]).collect();
    let mut contents: Vec<&str> = fillers.iter().map(String::as_str).collect();
    contents.push("E4711 is fixed by a larger pool");
    let question = format!("{} error E4711", frames.join("\n"));
    let results = ranked(bed, &contents, &question).await;
    assert!(results.contains(&id(contents.len() as u128)), "the last line counts");
}
