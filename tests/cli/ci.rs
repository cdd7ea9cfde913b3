//! The jobs of `deploy/ci/` and the hooks of `.pre-commit-hooks.yaml`, their own shell lines, run in a
//! repository with a plan. What is around them is played: `gh` and the `curl` of GitLab's job keep
//! comments in a file.

use std::path::Path;
use std::process::Command;

use assert_fs::TempDir;

use crate::harness::Folder;

/// `gh api` for comments, as the job uses it.
const GH: &str = r#"#!/bin/sh
set -eu
store=$HOME/comments.json
[ -f "$store" ] || echo '[]' >"$store"
shift
method=POST url='' jq='' body=''
while [ $# -gt 0 ]; do
    case $1 in
        --paginate | --silent) ;;
        --method) method=$2; shift ;;
        --jq) jq=$2 method=GET; shift ;;
        --field) body=$(cat "${2#body=@}"); shift ;;
        *) url=$1 ;;
    esac
    shift
done
echo "$method $url" >>"$HOME/calls"
case $method in
    GET) jq -r "$jq" "$store"; exit ;;
    POST) jq --arg body "$body" '. + [{ id: (length + 1), body: $body }]' "$store" >"$store.new" ;;
    PATCH) jq --arg body "$body" --arg id "${url##*/}" 'map(if (.id | tostring) == $id then .body = $body else . end)' "$store" >"$store.new" ;;
esac
mv "$store.new" "$store"
"#;

/// `curl` for notes, likewise.
const CURL: &str = r#"#!/bin/sh
set -eu
store=$HOME/comments.json
[ -f "$store" ] || echo '[]' >"$store"
method=GET url='' body=''
while [ $# -gt 0 ]; do
    case $1 in
        --fail | --silent) ;;
        --output | --header) shift ;;
        --request) method=$2; shift ;;
        --form) body=$(cat "${2#body=<}"); shift ;;
        *) url=$1 ;;
    esac
    shift
done
echo "$method $url" >>"$HOME/calls"
case $method in
    GET) cat "$store"; exit ;;
    POST) jq --arg body "$body" '. + [{ id: (length + 1), body: $body }]' "$store" >"$store.new" ;;
    PUT) jq --arg body "$body" --arg id "${url##*/}" 'map(if (.id | tostring) == $id then .body = $body else . end)' "$store" >"$store.new" ;;
esac
mv "$store.new" "$store"
"#;

/// The shell lines of a job: the block below the line `marker`.
fn script(file: &str, marker: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(path).expect("the job");
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != marker)
        .skip(1);
    let mut lines = lines.peekable();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let depth = indent(lines.peek().expect("a block"));
    let block: Vec<&str> = lines
        .take_while(|line| line.is_empty() || indent(line) >= depth)
        .map(|line| line.get(depth..).unwrap_or_default())
        .collect();
    block.join("\n")
}

/// A repository with a plan on `main`, and a branch that gives one more hour to a guest.
struct Repository {
    folder: Folder,
    home: TempDir,
}

impl Repository {
    fn new(tool: (&str, &str)) -> Self {
        let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans/pilot");
        let folder = Folder::copy_of(&plan);
        let home = TempDir::new().expect("a folder");
        let (name, text) = tool;
        let program = home.path().join(name);
        std::fs::write(&program, text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("it may be run");
        let repository = Self { folder, home };
        repository.good("rm -rf rendered && git init --quiet --initial-branch main && git add .");
        repository.good("git commit --quiet -m base && git checkout --quiet -b change");
        repository.change(
            "select: [ { source: cloud1, names: [db] } ]",
            "select: [ { source: cloud1, names: [db] } ]\n    shutdownTimeout: 1h",
        );
        repository.good("windrow plan && git add . && git commit --quiet -m change");
        repository
    }

    fn change(&self, from: &str, to: &str) {
        let path = self.folder.path().join("plan.yaml");
        let text = std::fs::read_to_string(&path).expect("a plan");
        assert!(text.contains(from), "{text}");
        std::fs::write(path, text.replace(from, to)).expect("written");
    }

    /// Runs shell lines as a job does; exit code, and what was said.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> (i32, String) {
        let windrow = Path::new(env!("CARGO_BIN_EXE_windrow"));
        let mut path = vec![
            self.home.path().to_owned(),
            windrow.parent().expect("a folder").to_owned(),
        ];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1\n{script}")])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("a path"))
            .env("HOME", self.home.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "ci")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "ci@example")))
            .envs(variables.iter().copied())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    fn good(&self, script: &str) -> String {
        let (code, said) = self.run(script, &[]);
        assert_eq!(code, 0, "{script}: {said}");
        said
    }

    /// The one comment that there is, and which calls were made for it.
    fn comment(&self) -> (String, String) {
        let read = |name| std::fs::read_to_string(self.home.path().join(name)).expect("written");
        let comments: serde_json::Value =
            serde_json::from_str(&read("comments.json")).expect("JSON");
        assert_eq!(comments.as_array().map(Vec::len), Some(1), "{comments}");
        let body = comments[0]["body"].as_str().expect("text").to_owned();
        (body, read("calls"))
    }
}

/// Runs a job from its first comment to each way in which it fails.
fn job(repository: &Repository, script: &str, variables: &[(&str, &str)], replaces: &str) {
    let (code, said) = repository.run(script, variables);
    assert_eq!(code, 0, "{said}");
    let (body, calls) = repository.comment();
    assert!(
        body.starts_with("<!-- windrow:diff:pilot -->\n**pilot: "),
        "{body}"
    );
    assert!(body.contains("pilot-010-db: changed"), "{body}");
    assert!(!calls.contains(replaces), "{calls}");

    // More is pushed: the comment is replaced, not repeated.
    repository.change("shutdownTimeout: 1h", "shutdownTimeout: 2h");
    repository.good("windrow plan && git commit --quiet -am more");
    assert_eq!(repository.run(script, variables).0, 0);
    let (body, calls) = repository.comment();
    assert!(body.contains("2h"), "{body}");
    assert!(calls.contains(replaces), "{calls}");

    // Waves that are not what the plan gives.
    repository.change("shutdownTimeout: 2h", "shutdownTimeout: 3h");
    let (code, said) = repository.run(script, variables);
    assert_eq!(code, 1, "{said}");

    // A mistake in the plan.
    repository.change("shutdownTimeout: 3h", "shutdownTimeout: soon");
    let (code, said) = repository.run(script, variables);
    assert_eq!(code, 1, "{said}");
}

// GitHub's job: annotations at their lines, one comment, and red where something is wrong.
#[test]
fn github() {
    let repository = Repository::new(("gh", GH));
    let script = script("deploy/ci/github.yaml", "run: |");
    let base = repository.good("git rev-parse main");
    let summary = repository.home.path().join("summary");
    let variables = [
        ("GH_TOKEN", "token"),
        ("NUMBER", "7"),
        ("BASE", base.trim()),
        ("GITHUB_REPOSITORY", "example/plans"),
        ("GITHUB_STEP_SUMMARY", summary.to_str().expect("UTF-8")),
    ];
    job(
        &repository,
        &script,
        &variables,
        "PATCH repos/example/plans/issues/comments/1",
    );
    let (_, said) = repository.run(&script, &variables);
    assert!(said.contains("::error file=plan.yaml,line="), "{said}");
    assert!(said.contains("`soon`"), "{said}");
    let summary = std::fs::read_to_string(summary).expect("a summary");
    assert!(summary.contains("pilot: all 4 VMs fit"), "{summary}");
}

// GitLab's: the same, with an entry of code quality for each mistake.
#[test]
fn gitlab() {
    let repository = Repository::new(("curl", CURL));
    repository.good("git clone --quiet --bare . \"$HOME/origin.git\" && git remote add origin \"$HOME/origin.git\"");
    let script = script("deploy/ci/gitlab.yaml", "- |");
    let variables = [
        ("WINDROW_TOKEN", "token"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
        ("CI_PROJECT_ID", "3"),
        ("CI_MERGE_REQUEST_IID", "7"),
    ];
    job(
        &repository,
        &script,
        &variables,
        "PUT https://gitlab.example/api/v4/projects/3/merge_requests/7/notes/1",
    );
    let quality =
        std::fs::read_to_string(repository.folder.path().join("quality.json")).expect("a report");
    let quality: serde_json::Value = serde_json::from_str(&quality).expect("JSON");
    assert_eq!(quality[0]["location"]["path"], "plan.yaml", "{quality}");
    assert!(
        quality[0]["location"]["lines"]["begin"].is_u64(),
        "{quality}"
    );
}

// The hooks, their entries as pre-commit calls them: good where all is well, and each bad where it has
// something to say.
#[test]
fn hooks() {
    let repository = Repository::new(("unused", ""));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml");
    let text = std::fs::read_to_string(path).expect("the hooks");
    let hooks = schemas::yaml::documents(&text).expect("YAML").remove(0);
    let entry = |id: &str| {
        let mut hooks = hooks.as_array().expect("a list").iter();
        let hook = hooks.find(|hook| hook["id"] == id).expect("the hook");
        hook["entry"].as_str().expect("a command").to_owned()
    };
    let run =
        |id: &str, arguments: &str| repository.run(&format!("{} {arguments}", entry(id)), &[]);
    repository
        .good("windrow fmt plan.yaml && windrow plan && windrow render --for plain --out out");
    for (id, arguments) in [
        ("windrow-fmt", "plan.yaml"),
        ("windrow-validate", "plan.yaml"),
        ("windrow-plan-check", "plan.yaml"),
        ("windrow-render-check", "--for plain --out out"),
    ] {
        let (code, said) = run(id, arguments);
        assert_eq!(code, 0, "{id}: {said}");
    }
    repository.change("shutdownTimeout: 1h", "shutdownTimeout: 2h   \n\n\n");
    assert_eq!(run("windrow-fmt", "plan.yaml").0, 0);
    let text = repository.good("cat plan.yaml");
    assert!(
        text.contains("shutdownTimeout: 2h\n"),
        "it is laid out: {text}"
    );
    assert_eq!(run("windrow-plan-check", "plan.yaml").0, 1, "stale waves");
    repository.good("windrow plan && echo >>out/README.md");
    assert_eq!(
        run("windrow-render-check", "--for plain --out out").0,
        1,
        "stale manifests"
    );
    repository.change("shutdownTimeout: 2h", "shutdownTimeout: soon");
    assert_eq!(run("windrow-validate", "plan.yaml").0, 1, "a mistake");
    assert_eq!(
        hooks.as_array().map(Vec::len),
        Some(4),
        "one is not tried here"
    );
}
