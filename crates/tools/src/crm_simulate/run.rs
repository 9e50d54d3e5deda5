//! One simulation, step by step, as people read it.
//! Source: `spec/scheduler.md` §4, `spec/cli-pacemaker.md` §9.

use std::sync::Arc;

use base::CrmExit;
use scheduler::present::{Line, Style, render};
use scheduler::scores::ScoreLine;
use scheduler::simulate::{Injections, OpSpec, Step, execute, inject};
use scheduler::{Input, PlanOptions};
use xml::Element;

use super::document;
use super::input::{self, Store, effective_time, write_file};
use crate::clock;
use crate::options::Parsed;
use crate::output::{Fail, Out};
use crate::status::text::Block;
use crate::status::{Sections, Show, View};

/// One simulation.
pub(super) struct Run {
    cib: Arc<Element>,
    /// The document in the schema in which results are stored, kept in step if there is need.
    kept: Option<Arc<Element>>,
    live: bool,
    quiet: bool,
    /// Scores alone, without any titles.
    bare: bool,
    stores: Vec<Store>,
    show: Show,
    injections: Injections,
    op_fail: Vec<OpSpec>,
    /// The effective time, and the line that says so.
    time: (i64, Option<String>),
    /// Something was printed, so a blank line is due before the next block.
    printed: bool,
    /// The transition could not be executed to its end.
    invalid: bool,
}

impl Run {
    pub(super) fn new(parsed: &Parsed, quiet: bool) -> Result<Run, Fail> {
        let start = input::read(parsed)?;
        let list = |name: &'static str| parsed.values(name).map(Into::into).collect();
        let injections = Injections {
            quorum: parsed.value("quorum").map(Into::into),
            watchdog: parsed.value("watchdog").map(Into::into),
            node_up: list("node-up"),
            node_down: list("node-down"),
            node_fail: list("node-fail"),
            ticket_grant: list("ticket-grant"),
            ticket_revoke: list("ticket-revoke"),
            ticket_standby: list("ticket-standby"),
            ticket_activate: list("ticket-activate"),
            op_inject: list("op-inject"),
        };
        // An operation that cannot be never comes.
        let op_fail =
            parsed.values("op-fail").filter_map(|text| OpSpec::parse(text).ok()).collect();
        let time = effective_time(&start.cib, parsed.value("set-datetime"))?;
        let scores = parsed.has("show-scores") || parsed.has("show-utilization");
        let mut sections = Sections::NODES.with(Sections::RESOURCES);
        if parsed.has("show-attrs") {
            sections = sections.with(Sections::ATTRIBUTES);
        }
        if parsed.has("show-failcounts") {
            sections = sections.with(Sections::FAILCOUNTS).with(Sections::FAILURES);
        }
        let stores_it = !start.stores.is_empty() || parsed.has("save-input");
        Ok(Run {
            cib: Arc::new(start.cib),
            kept: stores_it.then(|| Arc::new(start.kept)),
            live: start.live,
            quiet,
            bare: quiet && scores,
            stores: start.stores,
            show: Show { sections, inactive: true, ..Show::default() },
            injections,
            op_fail,
            time,
            printed: false,
            invalid: false,
        })
    }

    fn input(&self) -> Input {
        let now = self.time.0;
        Input {
            now,
            local_offset: clock::local_offset(now),
            sanitized: !self.live,
            ..Input::default()
        }
    }

    /// The state that the document describes now; what was found in it goes to the log.
    fn view(&self) -> View {
        let sched = scheduler::status(&self.cib, self.input());
        let view = View { sched, cib: self.cib.clone(), now: self.time.0, live: None };
        view.log();
        view
    }

    fn say(&mut self, out: &mut Out, text: &str) {
        if !self.quiet && !text.is_empty() {
            out.text(text);
            self.printed = true;
        }
    }

    fn block(&mut self, out: &mut Out, text: &str) {
        if self.printed {
            self.say(out, "\n");
        }
        self.say(out, text);
    }

    fn say_time(&mut self, out: &mut Out) {
        // It stands directly above what follows it.
        let printed = self.printed;
        if let Some(line) = self.time.1.clone() {
            self.say(out, &format!("{line}\n"));
        }
        self.printed = printed;
    }

    pub(super) fn go(&mut self, parsed: &Parsed, out: &mut Out) -> Result<(), Fail> {
        let execute_it = parsed.has("simulate") || parsed.has("in-place") || parsed.has("op-fail");
        let run_it = execute_it
            || ["run", "show-scores", "show-utilization", "save-graph", "save-dotfile"]
                .iter()
                .any(|name| parsed.has(name));
        self.say_time(out);
        let mut view = self.view();
        let banner = header(&view.sched);
        if !banner.is_empty() {
            // The banner of maintenance mode stands apart from what follows it.
            self.say(out, &banner);
        }
        self.status(out, &mut view, "Current cluster status", true);
        if !self.injections.is_empty() {
            let now = clock::now();
            let steps = inject(&mut self.cib, &self.injections, &view.sched, now);
            if let Some(kept) = &mut self.kept {
                inject(kept, &self.injections, &view.sched, now);
            }
            self.steps(out, "Performing Requested Modifications", &steps);
            out.xml(|| document::modifications(&steps));
            if self.injections.quorum.is_some() || run_it {
                self.say_time(out);
            }
            view = self.view();
        }
        // The input of the scheduler, events included.
        if let Some(file) = parsed.value("save-input") {
            write_file(file, &self.kept.as_ref().unwrap_or(&self.cib).to_pretty())?;
        }
        if run_it {
            self.plan(parsed, out, view.sched, execute_it)?;
        }
        for store in &self.stores {
            store.save(self.kept.as_ref().unwrap_or(&self.cib))?;
        }
        if execute_it {
            self.say_time(out);
            let mut revised = self.view();
            self.status(out, &mut revised, "Revised Cluster Status", false);
        }
        // What could be executed was, and is stored; the caller learns that it was not all.
        if self.invalid { Err(Fail::silent(CrmExit::Error)) } else { Ok(()) }
    }

    /// Plans, shows the plan, and executes it. What was found in the state was logged before.
    fn plan(
        &mut self,
        parsed: &Parsed,
        out: &mut Out,
        state: scheduler::Sched,
        execute_it: bool,
    ) -> Result<(), Fail> {
        let mut input = self.input();
        input.show_scores = parsed.has("show-scores");
        input.show_utilization = parsed.has("show-utilization");
        let known = state.messages.len();
        let options = PlanOptions { input, transition_id: 1, compat_2_1: false };
        let mut plan = scheduler::schedule_status(state, options);
        for message in plan.sched.messages.iter().skip(known) {
            crate::logging::scheduler_message(message);
        }
        self.show_scores(out, &plan.sched.score_lines, input);
        self.list(out, "Transition Summary", &plan.summary);
        out.xml(|| document::actions(&plan.changes));
        if let Some(file) = parsed.value("save-graph") {
            write_file(file, &plan.sched.graph_text())?;
        }
        if let Some(file) = parsed.value("save-dotfile") {
            let dot = plan.sched.to_dot(parsed.has("all-actions"), parsed.has("verbose"));
            write_file(file, &dot)?;
        }
        if execute_it {
            let now = clock::now();
            let done = execute(&mut self.cib, &plan.sched, &self.op_fail, now);
            if let Some(kept) = &mut self.kept {
                execute(kept, &plan.sched, &self.op_fail, now);
            }
            self.steps(out, "Executing Cluster Transition", &done.steps);
            out.xml(|| document::transition(&done.steps));
            if done.invalid {
                out.err("Transition failed: terminated");
                out.err("An invalid transition was produced");
                self.invalid = true;
            }
        }
        // The program ends soon; to take a big plan apart would only cost time.
        std::mem::forget(plan);
        Ok(())
    }

    fn list(&mut self, out: &mut Out, title: &str, lines: &[Line]) {
        self.block(out, &format!("{title}:\n{}", render(lines)));
    }

    /// Shows what a simulation did, as it did it.
    fn steps(&mut self, out: &mut Out, title: &str, steps: &[Step]) {
        self.list(out, title, &[]);
        for step in steps {
            match step {
                Step::Wrong(message) => out.err(message),
                Step::Pretended { .. } => self.say(out, &format!("{}\n", step.text())),
                _ => self.say(out, &render(&[Line { level: 1, text: step.text() }])),
            }
        }
    }

    /// Shows a state. `before` the transition, what is in progress counts.
    fn status(&mut self, out: &mut Out, view: &mut View, title: &str, before: bool) {
        let style = Style { v3: true, pending: before, ..Style::default() };
        let text = view.sched.status_block(title, style);
        self.block(out, &text);
        let mut show = self.show.clone();
        let name = if before { "cluster_status" } else { "revised_cluster_status" };
        out.xml(|| document::status(name, view, &show));
        if !out.is_text() {
            return;
        }
        show.sections = show
            .sections
            .without(Sections::NODES.with(Sections::RESOURCES).with(Sections::FAILURES));
        let mut blocks = view.blocks(&show);
        if self.show.sections.has(Sections::FAILURES) {
            // Failed actions are shown as records.
            let records = Show { sections: Sections::FAILURES, detail: true, ..self.show.clone() };
            blocks.extend(view.blocks(&records));
        }
        for block in blocks {
            let Block::List(title, items) = block else { continue };
            let nested: Vec<Line> = std::iter::once(Line { level: 1, text: format!("{title}:") })
                .chain(items.into_iter().map(|line| Line { level: line.level + 1, ..line }))
                .collect();
            self.say(out, &format!("\n{}", render(&nested)));
        }
    }

    fn show_scores(&mut self, out: &mut Out, lines: &[ScoreLine], input: Input) {
        let (scores, utilization) = (input.show_scores, input.show_utilization);
        let title = match (scores, utilization) {
            (true, true) => "Assignment Scores and Utilization Information",
            (true, false) => "Assignment Scores",
            (false, true) => "Utilization Information",
            (false, false) => return,
        };
        out.xml(|| document::scores(lines, scores, utilization));
        if self.bare {
            for line in lines.iter().filter(|line| !matches!(line, ScoreLine::Info(_))) {
                out.line(&line.to_string());
            }
            return;
        }
        self.list(out, title, &[]);
        for line in lines {
            match line {
                ScoreLine::Info(text) => self.say(out, &format!("{text}\n")),
                line => self.say(out, &render(&[Line { level: 1, text: line.to_string() }])),
            }
        }
    }
}

/// Banner of maintenance mode, and how many resources are out of action.
fn header(sched: &scheduler::Sched) -> String {
    let mut text = String::new();
    if sched.options.maintenance {
        text.push_str(
            "\n              *** Resource management is DISABLED ***\n  The cluster will not attempt to start, stop or recover services\n",
        );
    }
    if sched.disabled > 0 || sched.blocked > 0 {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!(
            "{} of {} resource instances DISABLED and {} BLOCKED from further action due to failure\n",
            sched.disabled, sched.instances, sched.blocked
        ));
    }
    text
}
