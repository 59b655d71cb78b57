use chrono::{DateTime, FixedOffset, NaiveDate, Utc};

use super::*;

/// Thursday, 18 May 2023, in the afternoon.
fn now() -> DateTime<Utc> {
    "2023-05-18T15:00:00Z".parse().unwrap()
}

/// What is read, with its first and its last day.
fn read(text: &str) -> Vec<(&str, String)> {
    let day = |time: DateTime<Utc>| time.date_naive();
    let days =
        |span: TimeSpan| -> (NaiveDate, NaiveDate) { (day(span.from), day(span.before).pred_opt().unwrap()) };
    mentions(text, now(), FixedOffset::east_opt(0).unwrap())
        .into_iter()
        .map(|one| {
            let (first, last) = days(one.span);
            let days = if first == last { first.to_string() } else { format!("{first} to {last}") };
            (&text[one.range], days)
        })
        .collect()
}

fn check(cases: &[(&str, &str, &str)]) {
    for (text, words, days) in cases {
        assert_eq!(read(text), [(*words, (*days).to_owned())], "{text}");
    }
}

fn check_none(texts: &[&str]) {
    for text in texts {
        assert_eq!(read(text), [], "{text}");
    }
}

#[test]
fn days_of_the_calendar_are_read() {
    check(&[
        ("what happened on 2023-05-08?", "2023-05-08", "2023-05-08"),
        ("(2023-05-08)", "2023-05-08", "2023-05-08"),
        ("log of 2023-05-08T12:00:00Z please", "2023-05-08T12:00:00Z", "2023-05-08"),
        ("on 2023/05/08.", "2023/05/08", "2023-05-08"),
        ("on 25/12/2022", "25/12/2022", "2022-12-25"),
        ("on 12/25/2022", "12/25/2022", "2022-12-25"),
        ("on 05/05/2023", "05/05/2023", "2023-05-05"),
        ("on 3 March", "3 March", "2023-03-03"),
        ("on the 3rd of March 2022", "3rd of March 2022", "2022-03-03"),
        ("on March 3rd, 2023, what", "March 3rd, 2023", "2023-03-03"),
        ("say goodbye to on 3 June, 2022?", "3 June, 2022", "2022-06-03"),
        ("taken on December 1,2022", "December 1,2022", "2022-12-01"),
        ("finish on 8th December, 2022", "8th December, 2022", "2022-12-08"),
        ("the release of Jan 5", "Jan 5", "2023-01-05"),
        ("on 3 June", "3 June", "2022-06-03"),
        ("on 29 February", "29 February", "2020-02-29"),
        ("on monday, 8 May 2023", "monday, 8 May 2023", "2023-05-08"),
        ("on 3 may", "3 may", "2023-05-03"),
        ("what was said May 3rd", "May 3rd", "2023-05-03"),
        ("what did we say last time, May 3 or so", "May 3", "2023-05-03"),
    ]);
}

#[test]
fn months_quarters_seasons_and_years_are_read() {
    check(&[
        ("in May 2023", "May 2023", "2023-05-01 to 2023-05-31"),
        ("in 2023-05?", "2023-05", "2023-05-01 to 2023-05-31"),
        ("May, 2022 was", "May, 2022", "2022-05-01 to 2022-05-31"),
        ("May of 2022", "May of 2022", "2022-05-01 to 2022-05-31"),
        ("in May 1850", "May 1850", "1850-05-01 to 1850-05-31"),
        ("what did I do in may", "may", "2023-05-01 to 2023-05-31"),
        ("what did I do in June?", "June", "2022-06-01 to 2022-06-30"),
        ("deal in December?", "December", "2022-12-01 to 2022-12-31"),
        ("in the month of May", "May", "2023-05-01 to 2023-05-31"),
        ("in early May", "early May", "2023-05-01 to 2023-05-10"),
        ("in mid-August 2022", "mid-August 2022", "2022-08-11 to 2022-08-20"),
        ("late May 2022", "late May 2022", "2022-05-21 to 2022-05-31"),
        ("by the end of 2022", "end of 2022", "2022-09-01 to 2022-12-31"),
        ("in 2022", "2022", "2022-01-01 to 2022-12-31"),
        ("back in 2022 we met", "2022", "2022-01-01 to 2022-12-31"),
        ("the year 2022", "2022", "2022-01-01 to 2022-12-31"),
        ("Q3 2022", "Q3 2022", "2022-07-01 to 2022-09-30"),
        ("in Q1", "Q1", "2023-01-01 to 2023-03-31"),
        ("the third quarter of 2022", "third quarter of 2022", "2022-07-01 to 2022-09-30"),
        ("towards the end of summer 2022", "end of summer 2022", "2022-08-01 to 2022-08-31"),
        ("the fall of 2022", "fall of 2022", "2022-09-01 to 2022-11-30"),
        ("in the second week of November", "second week of November", "2022-11-08 to 2022-11-14"),
        ("the last week of May 2022", "last week of May 2022", "2022-05-25 to 2022-05-31"),
    ]);
}

#[test]
fn times_beside_today_are_read() {
    check(&[
        ("what did I do today?", "today", "2023-05-18"),
        ("yesterday's build", "yesterday", "2023-05-17"),
        ("due tomorrow", "tomorrow", "2023-05-19"),
        ("last night", "last night", "2023-05-17"),
        ("this morning", "this morning", "2023-05-18"),
        ("the day before yesterday", "day before yesterday", "2023-05-16"),
        ("last week", "last week", "2023-05-08 to 2023-05-14"),
        ("this week", "this week", "2023-05-15 to 2023-05-21"),
        ("next week", "next week", "2023-05-22 to 2023-05-28"),
        ("in the last week", "last week", "2023-05-11 to 2023-05-18"),
        ("in the past week", "past week", "2023-05-11 to 2023-05-18"),
        ("last weekend", "last weekend", "2023-05-13 to 2023-05-14"),
        ("this weekend", "this weekend", "2023-05-20 to 2023-05-21"),
        ("last month", "last month", "2023-04-01 to 2023-04-30"),
        ("end of last month", "end of last month", "2023-04-21 to 2023-04-30"),
        ("last year?", "last year", "2022-01-01 to 2022-12-31"),
        ("in the last year?", "last year", "2022-05-18 to 2023-05-18"),
        ("last quarter", "last quarter", "2023-01-01 to 2023-03-31"),
        ("last Monday", "last Monday", "2023-05-15"),
        ("last thursday", "last thursday", "2023-05-11"),
        ("on Monday", "Monday", "2023-05-15"),
        ("on Thursday", "Thursday", "2023-05-18"),
        ("this friday", "this friday", "2023-05-19"),
        ("next thursday", "next thursday", "2023-05-25"),
        ("next Monday", "next Monday", "2023-05-22"),
        ("last May", "last May", "2022-05-01 to 2022-05-31"),
        ("last march", "last march", "2023-03-01 to 2023-03-31"),
        ("last summer", "last summer", "2022-06-01 to 2022-08-31"),
        ("last winter", "last winter", "2022-12-01 to 2023-02-28"),
        ("last summer we met", "last summer", "2022-06-01 to 2022-08-31"),
        ("where were we last May in fact?", "last May", "2022-05-01 to 2022-05-31"),
        ("3 days ago", "3 days ago", "2023-05-15"),
        ("a week ago", "a week ago", "2023-05-08 to 2023-05-14"),
        ("two months ago", "two months ago", "2023-03-03 to 2023-04-02"),
        ("a couple of weeks ago", "a couple of weeks ago", "2023-05-01 to 2023-05-07"),
        ("a year ago", "a year ago", "2021-11-17 to 2022-11-16"),
        ("the last 3 days", "last 3 days", "2023-05-15 to 2023-05-18"),
        ("the last few days", "last few days", "2023-05-13 to 2023-05-18"),
        ("the past two weeks", "past two weeks", "2023-05-04 to 2023-05-18"),
    ]);
}

#[test]
fn times_beside_another_are_read() {
    check(&[
        ("the week before August 3, 2022", "week before August 3, 2022", "2022-07-27 to 2022-08-02"),
        (
            "last weekend before April 10, 2023",
            "last weekend before April 10, 2023",
            "2023-04-08 to 2023-04-09",
        ),
        ("two weeks before August 11, 2022", "two weeks before August 11, 2022", "2022-07-25 to 2022-07-31"),
        ("the day after 8 May", "day after 8 May", "2023-05-09"),
        ("the week of 10 May", "week of 10 May", "2023-05-08 to 2023-05-14"),
    ]);
}

#[test]
fn spans_are_read() {
    check(&[
        (
            "between August 11 and August 15 2022",
            "between August 11 and August 15 2022",
            "2022-08-11 to 2022-08-15",
        ),
        ("between August 11 and 15, 2022", "between August 11 and 15, 2022", "2022-08-11 to 2022-08-15"),
        ("from 3 to 5 March", "from 3 to 5 March", "2023-03-03 to 2023-03-05"),
        ("on 3-5 March 2022", "3-5 March 2022", "2022-03-03 to 2022-03-05"),
        ("on March 3 to 5, 2022", "March 3 to 5, 2022", "2022-03-03 to 2022-03-05"),
        ("from November to January", "from November to January", "2022-11-01 to 2023-01-31"),
        ("from November 2021 to January", "from November 2021 to January", "2021-11-01 to 2022-01-31"),
        ("between 2019 and 2021", "between 2019 and 2021", "2019-01-01 to 2021-12-31"),
        ("2023-05-01 to 2023-05-08", "2023-05-01 to 2023-05-08", "2023-05-01 to 2023-05-08"),
        ("since Monday", "since Monday", "2023-05-15 to 2023-05-18"),
        ("since March 2023", "since March 2023", "2023-03-01 to 2023-05-18"),
        ("after 8 May", "after 8 May", "2023-05-09 to 2023-05-18"),
        ("before 2020", "before 2020", "1900-01-01 to 2019-12-31"),
        ("until 8 May 2023", "until 8 May 2023", "1900-01-01 to 2023-05-08"),
    ]);
}

#[test]
fn what_may_be_something_else_is_not_read() {
    check_none(&[
        "may I deploy?",
        "May I deploy?",
        "May 5 users log in at once?",
        "march on",
        "March 10 people out",
        "option 3 may fail",
        "this may fail",
        "what did April say to June and August?",
        "error 2023",
        "port 1999",
        "version 2023.1",
        "v2023.05",
        "CVE-2023-1234",
        "error-2023-05-08",
        "PLK-2023-05",
        "8000 users",
        "in 2000 users",
        "after 2000 requests",
        "in 2000 ms",
        "May 8,000 users",
        "$2023 in total",
        "in $2023",
        "in 2023%",
        "03/04/2023",
        "31/02/2023",
        "2023-13-01",
        "2023-02-30",
        "30 February",
        "the last time",
        "last one",
        "the next day",
        "last day of school",
        "in the fall",
        "the last fall from the ladder",
        "plans for the summer",
        "in the second",
        "first quarter of the game",
        "from 9 to 5",
        "between 3 and 5 users",
        "a week",
        "once in a year",
        "how many days",
        "winter 2022",
        "monday",
        "in_2023",
        "2023",
        "second",
        "just a second",
        "the second one",
        "sun and mon",
        "the sat nav",
        "fall back",
        "this fall through case",
        "how does this spring boot app start?",
        "his last spring clean",
        "the next may fail",
        "the last may be wrong",
        "this march took long",
        "31 February",
        "on 31 February",
        "on 31 April",
        "on 32 May",
        "on 0 May",
        "in 0",
        "in 0000",
        "in 1066",
        "in 99999",
        "in May 99999",
        "0000-01-01",
        "99999-01-01",
        "9999-12-31",
        "2023.05.1",
        "in 2023.05.1",
        "python 3.11.5",
        "release-2023.05",
        "call 555-2023",
        "+49 30 2023 555",
        "since 2023-555-1234",
        "555-2023-05",
        "ring 2023-05-0812",
        "10.0.5.2023",
        "build 20230508",
        "in 2023abc",
        "SHA 2023-05-08abc",
        "0x2023",
        "",
    ]);
}

#[test]
fn phrases_and_exclusions_are_not_read() {
    check_none(&[
        "\"last week\" report",
        "“in May 2023” report",
        "\"last week",
        "report -yesterday",
        "report -\"last week\"",
        "in \"x\" 2023",
    ]);
    check(&[("\"a\" last week \"b\"", "last week", "2023-05-08 to 2023-05-14")]);
}

#[test]
fn a_text_may_name_several_times() {
    let found = read("did we talk last week, or on 3 March, or in 2021?");
    let words: Vec<&str> = found.iter().map(|(words, _)| *words).collect();
    assert_eq!(words, ["last week", "3 March", "2021"]);
    assert_eq!(read(&"on 3 March, ".repeat(100)).len(), MAX_TIMES);
}

#[test]
fn days_are_those_of_the_offset() {
    let east = FixedOffset::east_opt(10 * 3600).unwrap();
    let found = mentions("today", now(), east);
    assert_eq!(found[0].span.from.to_rfc3339(), "2023-05-18T14:00:00+00:00");
    assert_eq!(found[0].span.before.to_rfc3339(), "2023-05-19T14:00:00+00:00");
    let west = FixedOffset::west_opt(10 * 3600).unwrap();
    let early: DateTime<Utc> = "2023-05-18T05:00:00Z".parse().unwrap();
    assert_eq!(mentions("today", early, west)[0].span.from.to_rfc3339(), "2023-05-17T10:00:00+00:00");
}

#[test]
fn a_long_question_costs_no_more_than_its_beginning() {
    let utc = FixedOffset::east_opt(0).unwrap();
    let long = format!("in May 2023 {}", "on 3 March 2022 or in May 2023-2022-05- ".repeat(30_000));
    assert!(long.len() > 1_000_000);
    let found = mentions(&long, now(), utc);
    assert_eq!(found.len(), MAX_TIMES);
    let late = format!("{} in May 2023", "é".repeat(50_000));
    assert_eq!(mentions(&late, now(), utc), [], "only the beginning is read");
}

#[test]
fn no_text_and_no_clock_is_too_much() {
    let utc = FixedOffset::east_opt(0).unwrap();
    let texts = [
        "the week before ".repeat(4000),
        "between from between 3 to ".repeat(4000),
        "last ".repeat(10_000),
        "1,".repeat(10_000),
        "\"".repeat(10_001),
        "-".repeat(10_000),
        "2023-05-08T".repeat(2000),
        "3 days before 3 days before ".repeat(1000),
        "é".repeat(10_000),
        "in 2023 ".repeat(10_000),
    ];
    let clocks = [now(), DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::UNIX_EPOCH];
    let sayings = [
        "last week",
        "last 1000 years",
        "1000 years ago",
        "next year",
        "before 1900",
        "since 1900",
        "in May",
        "the day after tomorrow",
        "today",
        "last winter",
        "until yesterday",
        "after 3 March",
    ];
    let long = texts.iter().map(|text| (text.as_str(), now()));
    let early_and_late = clocks.iter().flat_map(|clock| sayings.map(|saying| (saying, *clock)));
    for (text, clock) in long.chain(early_and_late) {
        for one in mentions(text, clock, utc) {
            assert!(one.span.validate().is_ok(), "{text:.40}");
            assert!(text.is_char_boundary(one.range.start) && text.is_char_boundary(one.range.end));
        }
    }
}
