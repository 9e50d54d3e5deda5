//! The core function library (XPath 1.0 §4).

use super::XPathError;
use super::eval::{Context, Eval, Item, boolean, in_order, to_number};
use super::index::{Id, What};
use super::parse::Function;

type Result<T> = std::result::Result<T, XPathError>;

/// Calls a function; the parser has checked the number of arguments.
pub(super) fn call(
    eval: &mut Eval<'_>,
    function: Function,
    args: Vec<Item>,
    context: Context,
) -> Result<Item> {
    let own = || Item::Nodes(vec![context.node]);
    let mut args = args.into_iter();
    let mut next = || args.next();
    Ok(match function {
        Function::Last => Item::Number(context.size as f64),
        Function::Position => Item::Number(context.position as f64),
        Function::Count => Item::Number(nodes_of(next())?.len() as f64),
        Function::Id => id(eval, next())?,
        Function::LocalName | Function::Name => {
            let nodes = nodes_of(Some(next().unwrap_or_else(own)))?;
            let name = nodes.first().map_or("", |node| name_of(eval, *node));
            let local = name.rsplit_once(':').map_or(name, |(_, local)| local);
            Item::Text(if function == Function::Name { name } else { local }.to_owned())
        }
        Function::NamespaceUri => {
            nodes_of(Some(next().unwrap_or_else(own)))?;
            Item::Text(String::new())
        }
        Function::String => Item::Text(eval.text(&next().unwrap_or_else(own))?),
        Function::Concat => {
            let mut joined = String::new();
            for arg in args {
                joined.push_str(&eval.text(&arg)?);
                eval.spend(joined.len() / 8)?;
            }
            Item::Text(joined)
        }
        Function::StartsWith => {
            let (a, b) = two(eval, next(), next())?;
            Item::Bool(a.starts_with(&b))
        }
        Function::Contains => {
            let (a, b) = two(eval, next(), next())?;
            Item::Bool(a.contains(&b))
        }
        Function::SubstringBefore => {
            let (a, b) = two(eval, next(), next())?;
            Item::Text(a.split_once(&b).map_or_else(String::new, |(before, _)| before.to_owned()))
        }
        Function::SubstringAfter => {
            let (a, b) = two(eval, next(), next())?;
            Item::Text(a.split_once(&b).map_or_else(String::new, |(_, after)| after.to_owned()))
        }
        Function::Substring => substring(eval, next(), next(), next())?,
        Function::StringLength => {
            Item::Number(eval.text(&next().unwrap_or_else(own))?.chars().count() as f64)
        }
        Function::NormalizeSpace => {
            let text = eval.text(&next().unwrap_or_else(own))?;
            let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
            Item::Text(words.collect::<Vec<_>>().join(" "))
        }
        Function::Translate => {
            let (text, from) = two(eval, next(), next())?;
            let to: Vec<char> = text_of(eval, next())?.chars().collect();
            let from: Vec<char> = from.chars().collect();
            eval.spend(text.len().saturating_mul(1 + from.len() / 8))?;
            let translated = text.chars().filter_map(|c| match from.iter().position(|f| *f == c) {
                Some(at) => to.get(at).copied(),
                None => Some(c),
            });
            Item::Text(translated.collect())
        }
        Function::Boolean => Item::Bool(next().is_some_and(|item| boolean(&item))),
        Function::Not => Item::Bool(!next().is_some_and(|item| boolean(&item))),
        Function::True => Item::Bool(true),
        Function::False => Item::Bool(false),
        Function::Lang => {
            let wanted = text_of(eval, next())?;
            Item::Bool(lang(eval, context.node, &wanted))
        }
        Function::Number => Item::Number(eval.number(&next().unwrap_or_else(own))?),
        Function::Sum => {
            let mut sum = 0.0;
            for node in nodes_of(next())? {
                sum += to_number(&eval.string_value(node)?);
            }
            Item::Number(sum)
        }
        Function::Floor => Item::Number(number_of(eval, next())?.floor()),
        Function::Ceiling => Item::Number(number_of(eval, next())?.ceil()),
        Function::Round => Item::Number(round(number_of(eval, next())?)),
    })
}

fn nodes_of(item: Option<Item>) -> Result<Vec<Id>> {
    match item {
        Some(Item::Nodes(nodes)) => Ok(nodes),
        _ => Err(XPathError::at(0, "expected a node-set as argument")),
    }
}

fn text_of(eval: &mut Eval<'_>, item: Option<Item>) -> Result<String> {
    item.map_or_else(|| Ok(String::new()), |item| eval.text(&item))
}

fn number_of(eval: &mut Eval<'_>, item: Option<Item>) -> Result<f64> {
    item.map_or(Ok(f64::NAN), |item| eval.number(&item))
}

fn two(eval: &mut Eval<'_>, a: Option<Item>, b: Option<Item>) -> Result<(String, String)> {
    Ok((text_of(eval, a)?, text_of(eval, b)?))
}

fn name_of<'a>(eval: &Eval<'a>, id: Id) -> &'a str {
    match (id.1, eval.index.what(id.0)) {
        (0, What::Element(element)) => element.name(),
        (0, _) => "",
        _ => eval.index.attr(id).map_or("", |(name, _)| name),
    }
}

/// id(): without a DTD only `xml:id` is an ID, as with libxml2.
fn id(eval: &mut Eval<'_>, arg: Option<Item>) -> Result<Item> {
    let mut wanted = String::new();
    match arg {
        Some(Item::Nodes(nodes)) => {
            for node in nodes {
                wanted.push_str(&eval.string_value(node)?);
                wanted.push(' ');
            }
        }
        other => wanted = text_of(eval, other)?,
    }
    let ids: Vec<&str> = wanted.split_whitespace().collect();
    let all = eval.index.step(
        (0, 0),
        super::parse::Axis::Descendant,
        &super::parse::Test::Any,
        |_| Ok::<(), XPathError>(()),
    )?;
    eval.spend(all.len().saturating_mul(1 + ids.len()))?;
    let found = all.into_iter().filter(|node| match eval.index.what(node.0) {
        What::Element(element) => element.get("xml:id").is_some_and(|id| ids.contains(&id)),
        _ => false,
    });
    Ok(Item::Nodes(in_order(found.collect())))
}

fn substring(
    eval: &mut Eval<'_>,
    text: Option<Item>,
    from: Option<Item>,
    len: Option<Item>,
) -> Result<Item> {
    let text = text_of(eval, text)?;
    let first = round(number_of(eval, from)?);
    let last = match len {
        Some(len) => first + round(number_of(eval, Some(len))?),
        None => f64::INFINITY,
    };
    let chosen = text.chars().enumerate().filter(|(at, _)| {
        let position = (*at + 1) as f64;
        position >= first && position < last
    });
    Ok(Item::Text(chosen.map(|(_, c)| c).collect()))
}

/// Halves round towards positive infinity.
fn round(number: f64) -> f64 {
    (number + 0.5).floor()
}

fn lang(eval: &Eval<'_>, id: Id, wanted: &str) -> bool {
    let mut at = id.0;
    loop {
        if let What::Element(element) = eval.index.what(at)
            && let Some(lang) = element.get("xml:lang")
        {
            let (lang, wanted) = (lang.to_ascii_lowercase(), wanted.to_ascii_lowercase());
            return lang == wanted
                || lang.strip_prefix(&wanted).is_some_and(|rest| rest.starts_with('-'));
        }
        if at == 0 {
            return false;
        }
        at = eval.index.parent(at);
    }
}
