//! Commands of the program, as shells write them and as lists of arguments.

use causeway::cli::args::Cli;
use clap::Parser as _;

use super::File;
use super::program::Program;

/// Programs of others that a list may begin with.
const OTHERS: [&str; 1] = ["install"];

/// Every command line of the program in a file.
pub(crate) fn commands(file: &File, program: &Program) -> Vec<String> {
    let joined = file.text.replace("\\\n", " ");
    let mut lines: Vec<String> = Vec::new();
    let mut fenced = false;
    for line in joined.lines() {
        let words = line.trim_start();
        fenced ^= words.starts_with("```");
        // Between backticks, wherever they stand.
        lines.extend(
            line.split('`').skip(1).step_by(2).filter_map(|code| code.strip_prefix("causeway ")).map(str::to_owned),
        );
        let comment = words.starts_with('#') && !fenced;
        let shell = fenced || is_shell(&file.path) || words.starts_with("ExecStart");
        if shell && !comment {
            lines.extend(invoked(line));
        }
    }
    lines.iter().filter_map(|line| fault(line, &program.cli)).collect()
}

fn is_shell(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".sh") || !name.contains('.') && name != "Containerfile"
}

/// What follows the program's name where it is a word of its own, outside of quotes.
fn invoked(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, name) in line.match_indices("causeway ") {
        let before = line.get(..at).unwrap_or_default();
        let own = before.chars().next_back().is_none_or(|c| c.is_whitespace() || c == '(') || before.ends_with("/bin/");
        // Where it is the name of a database, a namespace or a secret.
        let other = ["DATABASE ", "-n ", "generic "].iter().any(|word| before.ends_with(word));
        if own
            && !other
            && before.matches('"').count() % 2 == 0
            && !before.contains(" #")
            && !before.ends_with("command -v ")
        {
            found.push(line.get(at + name.len()..).unwrap_or_default().to_owned());
        }
    }
    found
}

/// What is wrong with a command line, if something is.
fn fault(line: &str, cli: &clap::Command) -> Option<String> {
    // Up to where the shell goes on with something else; what a quote or a substitution holds is a value.
    let line = without_quoted(line);
    let line = line.split(['|', '>', '<', ';', '&', ')', '#']).next().unwrap_or_default();
    let (mut at, mut words) = (cli, line.split_whitespace());
    let mut above = vec![cli];
    while let Some(word) = words.next() {
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let known =
                above.iter().flat_map(|command| command.get_arguments()).find(|arg| arg.get_long() == Some(name));
            let Some(known) = known.or((name == "help" || name == "version").then_some(known).flatten()) else {
                return Some(format!("`causeway {}` has no --{name}", line.trim()));
            };
            if known.get_action().takes_values() && value.is_none() {
                words.next();
            }
        } else if let Some(command) = at.find_subcommand(word) {
            at = command;
            above.push(command);
        } else if at.get_positionals().next().is_none() {
            return Some(format!("`causeway {}`: there is no command {word}", line.trim()));
        }
    }
    None
}

/// Quoted texts and substitutions made one word each.
fn without_quoted(line: &str) -> String {
    let (mut out, mut quote, mut depth) = (String::new(), None, 0_u32);
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (_, '$') if characters.peek() == Some(&'(') => {
                characters.next();
                depth += 1;
                out.push('_');
            }
            (_, ')') if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            (Some(open), c) if open == c => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push('_');
            }
            (Some(_), _) => {}
            (None, c) => out.push(c),
        }
    }
    out
}

/// Lists of arguments in YAML and in container files are commands of the program, or begin with another known one.
pub(crate) fn lists(file: &File, _: &Program) -> Vec<String> {
    let starts = ["args: [", "command: [", "CMD [", "ENTRYPOINT ["];
    let mut complaints = Vec::new();
    for line in file.text.lines().map(str::trim_start) {
        let Some(list) = starts.iter().find_map(|start| line.strip_prefix(start)?.strip_suffix(']')) else { continue };
        let words: Vec<String> = items(list);
        let words: Vec<&str> = words.iter().map(String::as_str).skip_while(|word| *word == "causeway").collect();
        if words.is_empty() || words.first().is_some_and(|first| OTHERS.contains(first)) {
            continue;
        }
        if let Err(error) = Cli::try_parse_from(std::iter::once("causeway").chain(words.iter().copied())) {
            complaints.push(format!("[{list}]: {}", error.to_string().lines().next().unwrap_or_default()));
        }
    }
    complaints
}

/// The members of a flow list, quoted or not.
fn items(list: &str) -> Vec<String> {
    let (mut items, mut item, mut quoted) = (Vec::new(), String::new(), false);
    for c in list.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => items.push(std::mem::take(&mut item)),
            ' ' if !quoted => {}
            c => item.push(c),
        }
    }
    items.push(item);
    items
}
