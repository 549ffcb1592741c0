DECISIONS = PAGE.partition("## Where it is decided\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("row", [row for row in DECISIONS.splitlines() if row.startswith("| w")])
def test_each_decision_is_where_the_page_says(row):
    names = re.findall(r"`(\w+)` in `([\w./]+)`", row)
    paths = re.findall(r"`([\w/]+\.py)`", row)
    assert paths
    assert [path for path in paths if not place(path).exists()] == []
    for name, path in names:
        assert re.search(rf"^(class )?{name}\b", place(path).read_text(), re.MULTILINE)
