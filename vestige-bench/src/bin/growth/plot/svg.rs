//! The few shapes of a plot, as SVG.

use std::fmt::Write;

/// An SVG under construction. A String takes every write, so errors of writing cannot be.
pub(super) struct Svg(String);

/// Where a text stands beside its point.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

const INK: &str = "#222222";
const GREY: &str = "#666666";

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"Noto Sans\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
        ))
    }

    pub(super) fn finish(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }

    pub(super) fn title(&mut self, x: f64, y: f64, text: &str) {
        self.write(x, y, (22.0, INK, true), Anchor::Start, text);
    }

    pub(super) fn heading(&mut self, x: f64, y: f64, text: &str) {
        self.write(x, y, (16.0, INK, true), Anchor::Start, text);
    }

    pub(super) fn text(&mut self, x: f64, y: f64, text: &str) {
        self.write(x, y, (14.5, GREY, false), Anchor::Start, text);
    }

    pub(super) fn small(&mut self, x: f64, y: f64, text: &str) {
        self.write(x, y, (12.5, GREY, false), Anchor::Start, text);
    }

    pub(super) fn tick(&mut self, x: f64, y: f64, anchor: Anchor, text: &str) {
        self.write(x, y, (13.0, GREY, false), anchor, text);
    }

    pub(super) fn label(&mut self, x: f64, y: f64, colour: &str, text: &str) {
        self.write(x, y, (13.5, colour, true), Anchor::Start, text);
    }

    fn write(&mut self, x: f64, y: f64, style: (f64, &str, bool), anchor: Anchor, text: &str) {
        let (size, colour, bold) = style;
        let weight = if bold { "bold" } else { "normal" };
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" font-weight=\"{weight}\" fill=\"{colour}\" \
             text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    pub(super) fn rule(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        self.polyline(&[from, to], colour, width, "");
    }

    /// A line through points; `dashes` as in SVG's `stroke-dasharray`, empty for none.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashes: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            self.0,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
             stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>",
            points.join(" "),
            if dashes.is_empty() { "none" } else { dashes }
        );
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), radius: f64, colour: &str) {
        let _ = writeln!(
            self.0,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\" stroke=\"white\" stroke-width=\"1\"/>"
        );
    }
}
