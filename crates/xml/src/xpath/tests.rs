use super::*;

const DOC: &str = r#"<cib epoch="3"><configuration><!--note--><nodes>
<node id="1" uname="alpha"/><node id="2" uname="beta"/><node id="3" uname="gamma" type="remote"/>
</nodes><resources><primitive id="ip" class="ocf" type="IPaddr2">
<operations><op id="ip-mon" name="monitor" interval="10s"/><op id="ip-start" name="start"/></operations>
<instance_attributes id="ip-ia"><nvpair id="ip-ia-ip" name="ip" value="192.168.100.100"/></instance_attributes>
</primitive><group id="g"><primitive id="web"/><primitive id="db"/></group></resources></configuration>
<status>hello<node_state id="1"/></status></cib>"#;

fn ids(expr: &str) -> Vec<String> {
    let doc = crate::parse(DOC).unwrap();
    let found = XPath::parse(expr).unwrap().elements(&doc).unwrap();
    found.iter().map(|e| e.id().unwrap_or(e.name()).to_owned()).collect()
}

fn text(expr: &str) -> String {
    let doc = crate::parse(DOC).unwrap();
    let expr = format!("string({expr})");
    match XPath::parse(&expr).unwrap().evaluate(&doc).unwrap() {
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_find_elements() {
    for (expr, expected) in [
        ("/cib", "cib"),
        ("/", ""),
        ("//node", "1 2 3"),
        ("//node[@id='2']", "2"),
        ("//node[@id = \"2\"]", "2"),
        ("/cib/configuration/nodes/node[2]", "2"),
        ("//node[last()]", "3"),
        ("//node[position()<3]", "1 2"),
        ("//node[not(@type) or @type='member']", "1 2"),
        ("//primitive[1]", "ip web"),
        ("(//primitive)[1]", "ip"),
        ("//primitive", "ip web db"),
        ("//primitive[@type='IPaddr2'][@class='ocf']", "ip"),
        ("//primitive//nvpair[@name='ip']", "ip-ia-ip"),
        ("//nvpair/..", "ip-ia"),
        ("//nvpair/ancestor::primitive", "ip"),
        ("//nvpair/ancestor::*[1]", "ip-ia"),
        ("//node[@id='2']/following-sibling::node", "3"),
        ("//node[@id='3']/preceding-sibling::node[1]", "2"),
        ("//group/preceding::op", "ip-mon ip-start"),
        ("//op/following::primitive", "web db"),
        ("//*[@id='web' or @id='ip']", "ip web"),
        ("//node[@id='1'] | //primitive[@id='db'] | //node[@id='1']", "1 db"),
        ("//*[starts-with(@id,'ip-')][contains(@id,'mon')]", "ip-mon"),
        ("//node[string-length(@uname) > 4][starts-with(@uname, 'g')]", "3"),
        ("//op[@name!='start']", "ip-mon"),
        ("//group[primitive/@id='db']", "g"),
        ("//group[count(primitive)=2]/primitive[2]", "db"),
        ("//nodes/*", "1 2 3"),
        ("//resources//*[self::group]", "g"),
        ("descendant::node", "1 2 3"),
        ("//node[@id mod 2 = 1]", "1 3"),
        ("//node[number(@id) * 2 - 1 >= 3 and true()]", "2 3"),
        ("/*[false()]", ""),
        ("/cib/@epoch", ""),
        ("//@id/parent::*[@uname='beta']", "2"),
        ("//node[.//x]", ""),
        ("//div", ""),
        ("//node[@id=//node_state/@id]", "1"),
    ] {
        assert_eq!(ids(expr).join(" "), expected, "{expr}");
    }
}

#[test]
fn values_convert_as_the_recommendation_says() {
    for (expr, expected) in [
        ("1 + 2 * 3", "7"),
        ("6 div 4", "1.5"),
        ("-7 mod 3", "-1"),
        ("1 div 0", "Infinity"),
        ("- 1 div 0", "-Infinity"),
        ("0 div 0", "NaN"),
        ("--3", "3"),
        ("'a' = 'b'", "false"),
        ("count(//node)", "3"),
        ("//node/@uname", "alpha"),
        ("sum(//node/@id)", "6"),
        ("concat('a', 1, true())", "a1true"),
        ("substring('12345', 2, 3)", "234"),
        ("substring('12345', 1.5, 2.6)", "234"),
        ("substring('12345', 0, 3)", "12"),
        ("substring('12345', 0 div 0, 3)", ""),
        ("substring-before('1999/04/01','/')", "1999"),
        ("substring-after('1999/04/01','/')", "04/01"),
        ("normalize-space('  a  b ')", "a b"),
        ("translate('--aaa--','abc-','ABC')", "AAA"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-2"),
        ("floor(-2.5)", "-3"),
        ("ceiling(2.1)", "3"),
        ("name(/*)", "cib"),
        ("local-name(//@epoch)", "epoch"),
        ("//status/text()", "hello"),
        ("//comment()", "note"),
        ("boolean(//nothing)", "false"),
        ("//node/@id = 2", "true"),
        ("//node/@id != 2", "true"),
        ("not(//node/@id = 9)", "true"),
        ("number('x')", "NaN"),
        ("number(' 12 ')", "12"),
        ("'1' < 2", "true"),
    ] {
        assert_eq!(text(expr), expected, "{expr}");
    }
}

#[test]
fn attributes_and_texts_are_addressed_too() {
    let doc = crate::parse(DOC).unwrap();
    let Value::Nodes(found) = XPath::parse("//node/@uname").unwrap().evaluate(&doc).unwrap() else {
        panic!("no nodes");
    };
    assert_eq!(found.len(), 3);
    assert_eq!(found[1].kind, Kind::Attribute("uname".into()));
    assert_eq!(doc.element_at(&found[1].path).unwrap().get("uname"), Some("beta"));
    assert_eq!(doc.xpath_of(&found[1].path), "/cib/configuration/nodes/node[@id='2']");
}

#[test]
fn what_is_no_xpath_is_refused() {
    for expr in [
        "",
        "//",
        "/cib/",
        "//node[",
        "//node[]",
        "//node]",
        "(1",
        "1 +",
        "'abc",
        "$x",
        "foo()",
        "count()",
        "nowhere::x",
        "@",
        "a b",
        "//node[@id='1'",
        "!",
        "a:b:c",
        "text(",
        "#",
    ] {
        assert!(XPath::parse(expr).is_err(), "{expr}");
    }
    let deep = "(".repeat(5000) + "1" + &")".repeat(5000);
    assert!(XPath::parse(&deep).is_err());
    let deep = "a[".repeat(5000) + "1" + &"]".repeat(5000);
    assert!(XPath::parse(&deep).is_err());
    assert!(XPath::parse(&("-".repeat(100_000) + "1")).is_ok());
    let doc = crate::parse(DOC).unwrap();
    assert!(XPath::parse("count(1)").unwrap().evaluate(&doc).is_err());
}

#[test]
fn an_expensive_expression_is_stopped() {
    let doc = crate::parse(&format!("<a>{}</a>", "<b><c/></b>".repeat(3000))).unwrap();
    let bomb = format!("//*{}", "/following::*[preceding::*]".repeat(5));
    assert!(XPath::parse(&bomb).unwrap().evaluate(&doc).is_err());
}

#[test]
fn random_expressions_never_panic() {
    let doc = crate::parse("<a b='1'><c><!--x--></c>t<d/></a>").unwrap();
    let words = [
        "/",
        "//",
        "a",
        "*",
        "@",
        "[",
        "]",
        "(",
        ")",
        "..",
        ".",
        "=",
        "!=",
        "<",
        "1",
        "2.5",
        "'x'",
        "|",
        "+",
        "-",
        " div ",
        " mod ",
        " and ",
        " or ",
        "count(",
        "last()",
        "position()",
        "not(",
        "ancestor::",
        "following::",
        "preceding-sibling::",
        "node()",
        "text()",
        "::",
        ":",
        "é",
        "substring(",
        ",",
        "string(",
        "id(",
        "\"",
        "$",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    let mut evaluated = 0;
    for _ in 0..60_000 {
        let len = 1 + next(9);
        let expr: String = (0..len).map(|_| words[next(words.len())]).collect();
        if let Ok(expr) = XPath::parse(&expr) {
            let _ = expr.evaluate(&doc);
            evaluated += 1;
        }
    }
    assert!(evaluated > 500, "only {evaluated} were expressions");
}

#[test]
fn pacemaker_addresses_what_holds_a_match() {
    let root = crate::parse("<cib e='1'><!-- c --><a id='1' x='2'>text</a></cib>").unwrap();
    let targets = |xpath: &str| {
        let paths = XPath::parse(xpath).unwrap().targets(&root).unwrap();
        paths.iter().map(|path| root.element_at(path).unwrap().name()).collect::<Vec<_>>()
    };
    assert_eq!(targets("//a/@id"), ["a"]);
    assert_eq!(targets("//@*"), ["cib", "a", "a"]);
    assert_eq!(targets("//comment()"), ["cib"]);
    assert_eq!(targets("//text()"), ["a"]);
    assert_eq!(targets("/"), ["cib"]);
    assert_eq!(targets("//a"), ["a"]);
    for nothing in ["cib", ".", "@e", "a | b", "(a)[1]", "count(//a)", "'a'"] {
        assert!(targets(nothing).is_empty(), "{nothing}");
    }
    assert_eq!(targets("//a | cib"), ["a"]);
    assert_eq!(targets("(//a | cib)/@x"), ["a"]);
}
