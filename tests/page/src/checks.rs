//! What the page must do, and what it must not.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::browser::{Browser, Look};
use crate::{Options, estate, report, say};

/// A browser draws nothing while a task runs for longer than this, in milliseconds.
const TASK_MS_MAX: f64 = 200.0;
/// The page of 5,000 VMs, in bytes.
const PAGE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// What a comment on GitHub holds.
const COMMENT_CHARACTERS_MAX: usize = 65_536;
/// Others use the machine too: of so many tries the quickest counts.
const TRIES: usize = 3;
/// Width of a screen, and of a telephone.
const WIDE: u32 = 1280;
const NARROW: u32 = 390;

/// Checks, and what came of them.
pub struct Checks<'o> {
    options: &'o Options,
    passed: usize,
    failed: usize,
}

impl<'o> Checks<'o> {
    pub fn new(options: &'o Options) -> Self {
        Self {
            options,
            passed: 0,
            failed: 0,
        }
    }

    /// Says how many held; true if all did.
    pub fn told(&self) -> bool {
        say(&format!(
            "{} passed, {} failed, 0 skipped",
            self.passed, self.failed
        ));
        self.failed == 0 && self.passed > 0
    }

    fn expect(&mut self, what: &str, holds: bool, detail: &str) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
            say(&format!("FAIL  {what}: {detail}"));
        }
    }

    /// An expression of the page has that value.
    fn value(&mut self, page: &mut Browser, what: &str, of: &str, is: &Value) -> Result<()> {
        let found = page.eval(of)?;
        self.expect(what, found == *is, &format!("{of} is {found}"));
        Ok(())
    }

    /// An expression of the page is a text in which there is all of these.
    fn tells(&mut self, page: &mut Browser, what: &str, of: &str, all: &[&str]) -> Result<()> {
        let found = page.eval(of)?;
        let text = found.as_str().unwrap_or_default();
        let missing: Vec<_> = all.iter().filter(|part| !text.contains(*part)).collect();
        self.expect(
            what,
            missing.is_empty(),
            &format!("{missing:?} are not in {text:?}"),
        );
        Ok(())
    }

    /// Nothing was printed, asked for, refused or thrown.
    fn clean(&mut self, page: &mut Browser, what: &str) -> Result<()> {
        let wrong = page.wrongs()?;
        let name = format!("{what}: no message, request or violation");
        self.expect(&name, wrong.is_empty(), &wrong.join("; "));
        Ok(())
    }

    /// No part of the page is wider than the screen, but what scrolls by itself.
    fn fits(&mut self, page: &mut Browser, what: &str) -> Result<()> {
        let of = "document.documentElement.scrollWidth <= innerWidth";
        self.value(
            page,
            &format!("{what}: nothing is cut off"),
            of,
            &json!(true),
        )
    }

    fn page(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        let file = self.options.out.join(format!("{name}.html"));
        report(&self.options.windrow, folder, &file)?;
        std::path::absolute(&file).context("find the page")
    }

    fn picture(&self, page: &mut Browser, name: &str) -> Result<()> {
        page.picture(&self.options.out.join(format!("{name}.png")), true)
    }

    /// The example as people use it: by mouse, by keyboard, on paper.
    pub fn example(&mut self, page: &mut Browser) -> Result<()> {
        let file = self.page(&self.options.root.join("plans/erp"), "erp")?;
        page.open(&file, WIDE, Look::Light)?;
        self.picture(page, "erp-light")?;
        self.fits(page, "wide")?;
        self.chart(page)?;
        self.outside(page)?;
        self.table(page)?;
        self.keyboard(page)?;
        self.zones(page)?;
        self.clean(page, "the example")?;

        page.open(&file, WIDE, Look::Dark)?;
        self.picture(page, "erp-dark")?;
        let background = "getComputedStyle(document.body).backgroundColor";
        self.value(
            page,
            "dark where the reader has it so",
            background,
            &json!("rgb(20, 23, 26)"),
        )?;
        page.open(&file, NARROW, Look::Light)?;
        self.picture(page, "erp-narrow")?;
        self.fits(page, "narrow")?;
        page.open(&file, 688, Look::Print)?;
        page.eval("dispatchEvent(new Event('beforeprint'))")?;
        self.picture(page, "erp-print")?;
        self.paper(page, &file, "erp", 1..=6)
    }

    /// The chart tells of what is pointed at, and stands above the scratch at the same times.
    fn chart(&mut self, page: &mut Browser) -> Result<()> {
        let about = "document.getElementById('about').textContent";
        // The third row: the first machine of the second wave.
        page.hover("#rows > div", (0.5, 0.0))?;
        let row = "(() => { const box = document.getElementById('rows'); const text = \
                   [...box.querySelectorAll('text')].find((t) => t.textContent === 'ERP-DB-01'); \
                   text.id = 'probe'; return text.textContent; })()";
        self.value(page, "a row is named", row, &json!("ERP-DB-01"))?;
        page.hover("#probe", (0.5, 0.5))?;
        self.tells(
            page,
            "hover tells of a machine",
            about,
            &["ERP-DB-01", "export", "boot"],
        )?;
        page.hover("#curves svg", (0.4, 0.5))?;
        self.tells(
            page,
            "hover tells of the scratch",
            about,
            &["GiB of 720 GiB held"],
        )?;
        let aligned = "(() => { const limit = document.querySelector('#curves .limit').getBoundingClientRect(); \
             const grid = [...document.querySelectorAll('#rows .win')].map((r) => r.getBoundingClientRect().left); \
             const under = [...document.querySelectorAll('#curves .win')].map((r) => r.getBoundingClientRect().left); \
             return limit.width > 100 && grid.length > 0 && grid.every((x, n) => Math.abs(x - under[n]) < 1); })()";
        self.value(
            page,
            "scratch stands under what fills it",
            aligned,
            &json!(true),
        )?;
        let bars = "document.querySelectorAll('#rows .export').length";
        self.value(page, "ten exports are drawn", bars, &json!(10))?;
        let wide = "Math.round(Math.max(...[...document.querySelectorAll('#rows .export')].map((r) => r.getBoundingClientRect().width)))";
        let before = page.eval(wide)?.as_f64().unwrap_or_default();
        page.click("#in")?;
        let after = page.eval(wide)?.as_f64().unwrap_or_default();
        self.expect(
            "zooming in widens",
            after > before * 1.2,
            &format!("{before}, then {after}"),
        );
        page.choose("#span", "1")?;
        self.picture(page, "erp-wave")?;
        page.choose("#span", "")?;
        page.choose("#group", "source")?;
        self.tells(
            page,
            "rows by source",
            "document.getElementById('rows').textContent",
            &["dc1 (7)", "cloud1 (3)"],
        )?;
        page.choose("#group", "wave")
    }

    /// Gates and steps outside: a shape each beside the colour, in the legend, told on hover, with
    /// what they wait for.
    fn outside(&mut self, page: &mut Browser) -> Result<()> {
        let about = "document.getElementById('about').textContent";
        let shapes = "['.gate', '.post', '.step', '.done'].map((kind) => document.querySelectorAll('#rows ' + kind).length).join(' ')";
        self.value(
            page,
            "two gates and a step are drawn",
            shapes,
            &json!("2 2 1 1"),
        )?;
        self.tells(
            page,
            "the legend has them",
            "document.getElementById('legend').textContent",
            &["until its gate holds", "step outside, done"],
        )?;
        // A gate begins where its machine is ready; the step begins where the last gate holds.
        let follows = "(() => { const box = (kind) => [...document.querySelectorAll('#rows ' + kind)].map((r) => r.getBoundingClientRect()); \
             const ready = box('.boot').map((r) => r.right), held = box('.gate').map((r) => r.right); \
             return box('.gate').every((r) => r.width > 1 && ready.some((x) => Math.abs(x - r.left) < 2)) \
             && Math.abs(Math.max(...held) - box('.step')[0].left) < 2; })()";
        self.value(page, "each begins where it may", follows, &json!(true))?;
        point(page, "repoint")?;
        self.tells(
            page,
            "hover tells of a step",
            about,
            &[
                "point the applications at the new databases",
                "May begin Sun 29 Nov 00:14",
                "expected to be done 00:44",
                "a person says so",
                "On the critical path",
                "After ERP-DB-02",
            ],
        )?;
        let lines = "document.querySelectorAll('#rows .dep').length";
        self.value(page, "with a line to its machine", lines, &json!(1))?;
        self.picture(page, "erp-step")?;
        point(page, "ERP-DB-01")?;
        self.tells(
            page,
            "hover tells of a gate",
            about,
            &["Its gate (port 5432) holds", "only then do others start"],
        )?;
        point(page, "erp-app-01")?;
        self.tells(page, "what waits for a step", about, &["After repoint"])?;
        self.value(page, "has a line to it", lines, &json!(1))?;
        self.tells(
            page,
            "the chain that decides the end has the step",
            "document.getElementById('rest').textContent",
            &["repointsteps outsideSun 29 Nov 00:14", "waits for", "Gates"],
        )
    }

    /// Search, filter and sort.
    fn table(&mut self, page: &mut Browser) -> Result<()> {
        let names = "[...document.querySelectorAll('#body tr:not(.pad) td:first-child')].map((c) => c.textContent).join(' ')";
        let matches = "document.getElementById('matches').textContent";
        page.click("#search")?;
        page.type_text("web-2")?;
        page.until(&format!("{matches} === '1 of 10 machines'"))?;
        self.value(page, "search finds", names, &json!("erp-web-2"))?;
        page.type_text(" nothing")?;
        page.until(&format!("{matches} === '0 of 10 machines'"))?;
        self.tells(
            page,
            "an empty result says why",
            "document.getElementById('body').textContent",
            &["No machine matches"],
        )?;
        page.eval("(() => { const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input')); })()")?;
        page.until(&format!("{matches} === '10 of 10 machines'"))?;
        page.choose("#by-code", "V07")?;
        self.value(page, "filter by a finding", names, &json!("erp-app-04"))?;
        page.choose("#by-code", "")?;
        page.choose("#by-wave", "1")?;
        self.value(
            page,
            "filter by a wave",
            names,
            &json!("ERP-DB-01 ERP-DB-02"),
        )?;
        page.choose("#by-wave", "")?;
        page.click("#head th:nth-child(9) button")?;
        page.click("#head th:nth-child(9) button")?;
        let first = "document.querySelector('#body tr td').textContent";
        self.value(
            page,
            "sort by downtime, the longest first",
            first,
            &json!("ERP-DB-01"),
        )?;
        let sorted = "document.querySelector('#head th:nth-child(9)').getAttribute('aria-sort')";
        self.value(page, "what is sorted says so", sorted, &json!("descending"))
    }

    /// Everything is reached by keys.
    fn keyboard(&mut self, page: &mut Browser) -> Result<()> {
        let about = "document.getElementById('about').textContent";
        page.eval("document.getElementById('rows').focus()")?;
        for _ in 0..3 {
            page.press("ArrowDown")?;
        }
        page.press("Home")?;
        self.tells(
            page,
            "the first row by keys",
            about,
            &["steps outside: first may begin"],
        )?;
        page.press("ArrowDown")?;
        self.tells(
            page,
            "a step by keys",
            about,
            &["Step outside repoint", "a person says so"],
        )?;
        page.press("ArrowDown")?;
        self.tells(page, "a group by keys", about, &["010-infra: 1 machine"])?;
        page.press("ArrowDown")?;
        self.tells(page, "the next row by keys", about, &["AD-01", "down from"])?;
        page.press("Home")?;
        let rows = "document.getElementById('rows').textContent.includes('repoint')";
        page.press("Enter")?;
        self.value(page, "Enter closes a group", rows, &json!(false))?;
        page.press("Enter")?;
        self.value(page, "and opens it", rows, &json!(true))?;
        let focus = "document.activeElement.id || document.activeElement.tagName";
        page.eval("document.getElementById('search').focus()")?;
        page.press("Tab")?;
        self.value(page, "Tab goes on", focus, &json!("by-wave"))?;
        page.eval("document.querySelector('#found summary').focus()")?;
        page.press("Enter")?;
        page.until("document.querySelector('#found details').open")?;
        self.tells(
            page,
            "a finding opens",
            "document.querySelector('#found details').textContent",
            &["powered off", "plan.yaml"],
        )
    }

    /// The same moment in another zone.
    fn zones(&mut self, page: &mut Browser) -> Result<()> {
        let ends = "document.querySelectorAll('#figures dd')[1].textContent";
        self.tells(page, "the plan's zone", ends, &["Sun 29 Nov 02:18"])?;
        page.choose("#zone", "UTC")?;
        self.tells(page, "UTC", ends, &["Sun 29 Nov 01:18"])?;
        page.choose("#zone", "Europe/Berlin")
    }

    /// On A4, with everything unfolded, and then as it was.
    fn paper(
        &mut self,
        page: &mut Browser,
        file: &Path,
        name: &str,
        pages: std::ops::RangeInclusive<usize>,
    ) -> Result<()> {
        page.open(file, WIDE, Look::Light)?;
        page.eval("addEventListener('beforeprint', () => { setTimeout(() => 0); window.__printed = [...document.querySelectorAll('details')].every((d) => d.open); })")?;
        let pdf = page.print(&self.options.out.join(format!("{name}.pdf")))?;
        let text = String::from_utf8_lossy(&pdf);
        let count = text.matches("/Type /Page\n").count();
        self.expect(
            "a few pages",
            pages.contains(&count),
            &format!("{count} pages"),
        );
        // A4 in points, as Chromium rounds it.
        let a4 = text.matches("/MediaBox [0 0 594.95996 841.91998]").count()
            + text.matches("/MediaBox [0 0 595 842]").count();
        self.expect(
            "on A4",
            a4 == count,
            &format!("{a4} of {count} pages are A4"),
        );
        self.value(
            page,
            "everything is unfolded on paper",
            "window.__printed",
            &json!(true),
        )?;
        let closed = "[...document.querySelectorAll('#found details')].every((d) => !d.open)";
        self.value(page, "and folded again after it", closed, &json!(true))?;
        self.clean(page, "printing")
    }

    /// Names of all kinds stay text.
    pub fn hostile(&mut self, page: &mut Browser) -> Result<()> {
        let folder = self.options.out.join("hostile");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("clear the last run's folder")?;
        }
        estate::hostile(&self.options.root, &folder)?;
        let file = self.page(&folder, "hostile")?;
        page.open(&file, WIDE, Look::Light)?;
        page.eval("document.querySelectorAll('details').forEach((d) => { d.open = true; })")?;
        page.until("document.getElementById('lost').textContent.includes('alert(6)')")?;
        self.picture(page, "hostile")?;
        let own = "document.querySelectorAll('script').length + ' ' + document.querySelectorAll('img, iframe, object, embed, link, #page style').length";
        self.value(
            page,
            "two scripts of ours and nothing foreign",
            own,
            &json!("2 0"),
        )?;
        let all = "document.getElementById('page').textContent";
        for name in estate::NAMES {
            let shown = name.replace('\n', "\\n").replace('\u{202e}', "\\u{202e}");
            self.tells(page, "a name is shown as text", all, &[&shown])?;
        }
        self.tells(page, "so is an owner", all, &[estate::OWNER])?;
        self.tells(page, "and a loss", all, &["onerror=alert(6)"])?;
        self.tells(page, "and a step", all, &["onerror=alert(7)"])?;
        // From the first guest off to the last gate and step, as the bars have it.
        let agrees = "(() => { const d = JSON.parse(document.getElementById('data').textContent); let at = 0; \
             return d.services.every((s, n) => { const mine = (w) => d.workloads[w].service === n; let from = Infinity, to = 0; \
             d.vms.id.forEach((_, i) => { if (!mine(d.vms.workload[i])) return; const off = d.vms.created[i] + d.vms.off[i]; \
             from = Math.min(from, off); to = Math.max(to, off + d.vms.exported[i] + d.vms.imagesIn[i] + d.vms.ready[i] + (d.vms.gate[i] || 0)); }); \
             d.steps.forEach((one) => { if (mine(one.workload)) { at += 1; to = Math.max(to, one.ends); } }); \
             return s.occurrences === 1 && s.down === to - from; }) && at; })()";
        self.value(
            page,
            "a service is down until its last gate and step",
            agrees,
            &json!(1),
        )?;
        page.click("#search")?;
        page.type_text("<script>")?;
        page.until("document.getElementById('matches').textContent.startsWith('0 of')")?;
        self.clean(page, "hostile names")?;
        self.forms(&folder)
    }

    /// The other forms: a comment that a pull request takes, a table in which nothing is a formula,
    /// data.
    fn forms(&mut self, folder: &Path) -> Result<()> {
        let comment = printed(&self.options.windrow, folder, "markdown")?;
        let characters = comment.chars().count();
        let fits = characters <= COMMENT_CHARACTERS_MAX;
        self.expect("a comment fits", fits, &format!("{characters} characters"));
        let mut lines = comment.lines();
        let marked = lines
            .next()
            .is_some_and(|line| line.starts_with("<!-- windrow:plan:"));
        self.expect("a comment has its mark", marked, "no mark");
        let summary = lines.next().unwrap_or_default();
        let one = summary.starts_with("**") && summary.contains(" · worst downtime ");
        self.expect("then a line that says it all", one, summary);
        let outside: String = comment.lines().map(outside_of_code).collect();
        let markup = ["<script", "<img", "<svg", "<b>"]
            .iter()
            .find(|tag| outside.contains(*tag));
        self.expect(
            "names are no markup",
            markup.is_none(),
            &format!("{markup:?}"),
        );
        let folds = (
            comment.matches("<details>").count(),
            comment.matches("</details>").count(),
        );
        self.expect(
            "details are folded",
            folds.0 > 0 && folds.0 == folds.1,
            &format!("{folds:?}"),
        );

        let table = printed(&self.options.windrow, folder, "csv")?;
        let rows: Vec<Vec<String>> = table.lines().map(cells).collect();
        let columns = rows.first().map_or(0, Vec::len);
        let even = columns > 20 && rows.iter().all(|row| row.len() == columns);
        self.expect("rows of one length", even, &format!("{columns} columns"));
        let mut all = rows.iter().flatten();
        let formula = all.find(|cell| cell.trim_start().starts_with(['=', '+', '-', '@']));
        self.expect(
            "no cell is a formula",
            formula.is_none(),
            &format!("{formula:?}"),
        );

        let data = printed(&self.options.windrow, folder, "json")?;
        let data: Value = serde_json::from_str(&data).context("read the report's JSON")?;
        let said = data["schema"] == "windrow.plan-report/1";
        self.expect("JSON names its schema", said, &data["schema"].to_string());
        let vms = data["vms"].as_u64().unwrap_or(0);
        let planned = rows
            .iter()
            .filter(|row| row.iter().any(|cell| cell == "planned"))
            .count();
        let same = u64::try_from(planned).is_ok_and(|planned| planned == vms);
        self.expect(
            "a row for each VM",
            same,
            &format!("{planned} rows, {vms} VMs"),
        );
        Ok(())
    }

    /// After a run: what came beside what was foretold.
    pub fn ran(&mut self, page: &mut Browser) -> Result<()> {
        let folder = self.options.out.join("ran");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).context("clear the last run's folder")?;
        }
        estate::ran(&self.options.root, &folder)?;
        let file = self.page(&folder, "ran")?;
        page.open(&file, WIDE, Look::Light)?;
        self.picture(page, "ran")?;
        let note = "document.getElementById('came-note').textContent";
        self.tells(
            page,
            "what came is said",
            note,
            &[
                "10 of 10 machines run",
                "later than foretold",
                "Gates: 1 held, 1 accepted",
            ],
        )?;
        self.tells(
            page,
            "and of a step",
            "document.getElementById('came-waves').textContent",
            &["repoint", "could begin", "done by"],
        )?;
        let bars = "[...document.querySelectorAll('#rows .foretold')].length + ' ' + [...document.querySelectorAll('#rows .export')].length";
        self.value(
            page,
            "actual bars before foretold ones, a step's too",
            bars,
            &json!("11 10"),
        )?;
        point(page, "repoint")?;
        self.tells(
            page,
            "what came of a step is told",
            "document.getElementById('about').textContent",
            &["Foretold", "could begin", "when what waited for it began"],
        )?;
        let heads = "document.getElementById('head').textContent";
        self.tells(
            page,
            "the table compares",
            heads,
            &["came to", "difference"],
        )?;
        self.clean(page, "after a run")
    }

    /// Thousands of machines: small, and never stuck.
    pub fn thousands(&mut self, page: &mut Browser) -> Result<()> {
        estate::outside(&self.options.estate)?;
        let began = std::time::Instant::now();
        let file = self.page(&self.options.estate, "estate")?;
        let took = began.elapsed();
        let bytes = std::fs::metadata(&file).context("look at the page")?.len();
        let detail = format!("{bytes} bytes");
        self.expect("at most 2 MiB", bytes <= PAGE_BYTES_MAX, &detail);
        say(&format!(
            "estate: {bytes} bytes, made in {:.1} s",
            took.as_secs_f64()
        ));
        let matches = "document.getElementById('matches').textContent";
        let mut best: Vec<(&str, f64)> = Vec::new();
        for _ in 0..TRIES {
            let mut note = |what: &'static str, tasks: Vec<f64>| {
                let worst = tasks.into_iter().fold(0.0, f64::max);
                match best.iter_mut().find(|(known, _)| *known == what) {
                    Some((_, least)) => *least = least.min(worst),
                    None => best.push((what, worst)),
                }
            };
            page.open(&file, WIDE, Look::Light)?;
            note("open", page.long_tasks()?);
            page.click("#search")?;
            page.type_text("app-29")?;
            page.until(&format!("!{matches}.startsWith('4')"))?;
            note("search", page.long_tasks()?);
            page.choose("#by-code", "T03")?;
            note("filter", page.long_tasks()?);
            page.choose("#by-code", "")?;
            page.click("#head th:nth-child(9) button")?;
            note("sort", page.long_tasks()?);
            page.click("#fold")?;
            note("open all groups", page.long_tasks()?);
            page.eval("document.getElementById('rows').scrollTop = 40000")?;
            page.settle()?;
            page.hover("#rows", (0.5, 0.5))?;
            note("scroll and hover", page.long_tasks()?);
            page.hover("#curves svg", (0.5, 0.5))?;
            note("hover over the scratch", page.long_tasks()?);
            page.choose("#group", "app")?;
            note("rows by application", page.long_tasks()?);
            page.click("#in")?;
            note("zoom", page.long_tasks()?);
            page.eval("document.querySelector('#found details').open = true")?;
            note("open a finding", page.long_tasks()?);
            page.eval("document.querySelector('#lost details').open = true")?;
            note("open a loss", page.long_tasks()?);
        }
        for (what, worst) in best {
            say(&format!("estate: {what}: longest task {worst:.0} ms"));
            self.expect(
                what,
                worst <= TASK_MS_MAX,
                &format!("a task of {worst:.0} ms"),
            );
        }
        page.open(&file, WIDE, Look::Light)?;
        let shapes = "[...document.querySelectorAll('#rows .step')].length";
        self.value(
            page,
            "steps stay open among thousands of machines",
            shapes,
            &json!(estate::STEPS),
        )?;
        self.picture(page, "estate")?;
        self.fits(page, "thousands")?;
        page.open(&file, NARROW, Look::Dark)?;
        self.picture(page, "estate-narrow-dark")?;
        page.open(&file, 688, Look::Print)?;
        page.eval("dispatchEvent(new Event('beforeprint'))")?;
        self.picture(page, "estate-print")?;
        self.paper(page, &file, "estate", 2..=60)?;
        let folder = self.options.estate.clone();
        self.forms(&folder)
    }
}

/// Points at the row of that name.
fn point(page: &mut Browser, name: &str) -> Result<()> {
    page.eval(&format!(
        "(() => {{ document.getElementById('probe')?.removeAttribute('id'); const text = \
         [...document.querySelectorAll('#rows text')].find((t) => t.textContent === {name:?}); \
         text.id = 'probe'; }})()"
    ))?;
    page.hover("#probe", (0.5, 0.5))
}

/// The report in that form, as it is printed.
fn printed(windrow: &Path, folder: &Path, form: &str) -> Result<String> {
    let output = std::process::Command::new(windrow)
        .args(["report", ".", "--output", form, "--out", "-"])
        .current_dir(folder)
        .output()
        .context("run windrow")?;
    if !output.status.success() {
        anyhow::bail!("{form}: {}", String::from_utf8_lossy(&output.stderr));
    }
    String::from_utf8(output.stdout).context("read what was printed")
}

/// A line of Markdown without its code spans: each ends at the next run of as many backticks.
fn outside_of_code(line: &str) -> String {
    let (mut outside, mut rest) = (String::new(), line);
    while let Some(begin) = rest.find('`') {
        outside.push_str(&rest[..begin]);
        let ticks = rest[begin..].chars().take_while(|c| *c == '`').count();
        rest = &rest[begin + ticks..];
        let mut from = 0;
        while let Some(end) = rest[from..].find('`').map(|end| from + end) {
            let run = rest[end..].chars().take_while(|c| *c == '`').count();
            from = end + run;
            if run == ticks {
                rest = &rest[from..];
                break;
            }
        }
    }
    outside + rest
}

/// The cells of a row (RFC 4180); no cell has a line break.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut letters) = (false, row.chars().peekable());
    while let Some(c) = letters.next() {
        let last = cells.len() - 1;
        match (c, quoted) {
            ('"', true) if letters.peek() == Some(&'"') => {
                letters.next();
                cells[last].push('"');
            }
            ('"', _) => quoted = !quoted,
            (',', false) => cells.push(String::new()),
            (c, _) => cells[last].push(c),
        }
    }
    cells
}
