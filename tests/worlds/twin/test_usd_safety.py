"""Files that lead outside their folder, lie about their size, or are meant to break who opens them."""

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from pxr import Sdf

from armillary.core import DataError
from armillary.worlds.twin import usd_open, usd_size
from armillary.worlds.twin.usd_read import read_usd
from armillary.worlds.twin.usd_write import write_usd
from tests.worlds.twin.usd_assets import one_of_everything

BALL = '#usda 1.0\n(\ndefaultPrim = "ball"\nmetersPerUnit = 1\nupAxis = "Z"\n)\ndef Sphere "ball" {}\n'


def usda(path: Path, text: str, head: str = "") -> Path:
    """A file with the default prim /top; here `;` ends a statement."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = text.replace(";", "\n").replace("{", "{\n").replace("}", "\n}\n")
    path.write_text(f'#usda 1.0\n(\ndefaultPrim = "top"\nmetersPerUnit = 1\nupAxis = "Z"\n{head}\n)\n{text}\n')
    return path


WAYS = {
    "reference": ('def Xform "top" (references = @{}@) {{}}', ""),
    "payload": ('def Xform "top" (payload = @{}@) {{}}', ""),
    "sublayer": ('def Xform "top" {{}}', "subLayers = [@{}@]"),
    "variant": (
        'def Xform "top" (variants = {{ string v = "a" }}; variantSets = "v") {{ variantSet "v" = {{ "a" (references = @{}@) {{}} }} }}',
        "",
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside.usda", "leads outside"),
        ("./sub/../../outside.usda", "leads outside"),
        ("linked.usda", "leads outside"),
        ("/etc/outside.usda", "is not relative"),
        ("http://127.0.0.1:9/outside.usda", "is no path of a file"),
        ("missing.usda", "does not exist"),
        ("notes.txt", "only .usd, .usda, .usdc, .usdz are read"),
    ],
)
def test_what_leads_outside_is_refused_by_name(tmp_path: Path, way: str, target: str, message: str):
    folder = tmp_path / "asset"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.usda").write_text(BALL)
    (folder / "linked.usda").symlink_to(tmp_path / "outside.usda")
    (folder / "notes.txt").write_text(BALL)
    text, head = WAYS[way]
    path = usda(folder / "root.usda", text.format(target), head.format(target))
    with pytest.raises(DataError, match=message) as told:
        read_usd(path)
    assert target.rsplit("/", 1)[-1] in str(told.value)


def test_a_file_inside_may_not_lead_outside_either(tmp_path: Path):
    (tmp_path / "outside.usda").write_text(BALL)
    usda(tmp_path / "asset" / "part.usda", 'def Xform "top" (references = @../outside.usda@) {}')
    path = usda(tmp_path / "asset" / "root.usda", 'def Xform "top" (references = @part.usda@) {}')
    with pytest.raises(DataError, match=r"part.usda refers to '../outside.usda', which leads outside"):
        read_usd(path)


def test_value_clips_are_refused(tmp_path: Path):
    clips = 'clips = { dictionary default = { asset[] assetPaths = [@../outside.usda@]; string primPath = "/top" } }'
    path = usda(tmp_path / "root.usda", f'def Xform "top" ({clips}) {{}}')
    with pytest.raises(DataError, match="/top plays value clips"):
        read_usd(path)


def test_what_stays_inside_is_followed(tmp_path: Path):
    (tmp_path / "parts" / "deep").mkdir(parents=True)
    (tmp_path / "parts" / "ball.usda").write_text(BALL)
    usda(tmp_path / "parts" / "deep" / "pair.usda", 'def Xform "top" { def "a" (references = @../ball.usda@) {} }')
    copies = "".join(
        f'def Xform "{name}" (references = @parts/deep/pair.usda@; instanceable = true) {{'
        f'double3 xformOp:translate = ({x}, 0, 0); uniform token[] xformOpOrder = ["xformOp:translate"] }}'
        for x, name in enumerate(("one", "two"))
    )
    asset = read_usd(usda(tmp_path / "root.usda", f'def Xform "top" {{ {copies} }}'))
    assert [(shape.name, shape.pose.position) for shape in asset.bodies[0].shapes] == [("a", (0.0, 0.0, 0.0)), ("two/a", (1.0, 0.0, 0.0))]


def test_references_inside_a_package_are_followed_and_others_refused(tmp_path: Path):
    for name, target, told in (("good", "ball.usda", ""), ("bad", "../outside.usda", "outside.usda")):
        with Sdf.ZipFileWriter.CreateNew(str(tmp_path / f"{name}.usdz")) as package:
            root = usda(tmp_path / "root.usda", f'def Xform "top" {{ def "a" (references = @{target}@) {{}} }}')
            (tmp_path / "ball.usda").write_text(BALL)
            package.AddFile(str(root), "root.usda")
            package.AddFile(str(tmp_path / "ball.usda"), "ball.usda")
        if told:
            with pytest.raises(DataError, match=told):
                read_usd(tmp_path / f"{name}.usdz")
        else:
            assert [shape.name for shape in read_usd(tmp_path / f"{name}.usdz").bodies[0].shapes] == ["a"]


def test_a_missing_prim_is_noted(tmp_path: Path):
    (tmp_path / "ball.usda").write_text(BALL)
    text = 'def Xform "top" { def "a" (references = @ball.usda@</none>) {}\ndef Sphere "s" {} }'
    assert any("could not put it together" in note and "none" in note for note in read_usd(usda(tmp_path / "root.usda", text)).notes)


def test_few_lines_that_stand_for_a_billion_prims_are_refused(tmp_path: Path):
    levels = "".join(
        f'def "l{level}" {{\n' + "".join(f'def "c{copy}" (references = </l{level + 1}>) {{}}\n' for copy in range(10)) + "}\n"
        for level in range(9)
    )
    with pytest.raises(DataError, match=r"would make about [\d,]+ prims; at most 200,000"):
        read_usd(usda(tmp_path / "laugh.usda", f'def "top" (references = </l0>) {{}}\n{levels}def Sphere "l9" {{}}'))


def test_a_billion_prims_in_two_layers_are_refused_too(tmp_path: Path):
    def levels(odd: bool) -> str:
        return "".join(
            f'def "l{level}" {{\n' + "".join(f'def "c{copy}" (references = </l{level + 1}>) {{}}\n' for copy in range(10)) + "}\n"
            for level in range(9)
            if level % 2 == odd
        )

    usda(tmp_path / "odd.usda", levels(True))
    path = usda(tmp_path / "even.usda", f'def "top" (references = </l0>) {{}}\n{levels(False)}', "subLayers = [@odd.usda@]")
    with pytest.raises(DataError, match="would make about"):
        read_usd(path)


def test_what_is_counted_is_what_openusd_builds(tmp_path: Path, monkeypatch):
    """Ten spheres, named twice, in as many prims as are allowed and in one more."""
    spheres = "".join(f'def Sphere "s{place}" {{}}\n' for place in range(10))
    path = usda(tmp_path / "a.usda", f'def Xform "top" {{ {spheres} }}\ndef Xform "again" (references = </top>) {{}}')
    monkeypatch.setattr(usd_size, "MAX_PRIMS", 23)  # 11, and 1 + 11
    assert len(read_usd(path).bodies[0].shapes) == 20
    monkeypatch.setattr(usd_size, "MAX_PRIMS", 22)
    with pytest.raises(DataError, match="about 23 prims"):
        read_usd(path)


def test_depth_is_limited(tmp_path: Path):
    for depth, fits in ((120, True), (140, False)):
        text = "".join(f'def "d{level}" {{\n' for level in range(depth)) + 'def Sphere "s" {}\n' + "}\n" * depth
        path = usda(tmp_path / f"deep{depth}.usda", f'def Xform "top" {{ {text} }}')
        if fits:
            assert len(read_usd(path).bodies[0].shapes) == 1
        else:
            with pytest.raises(DataError, match="more than 128 prims and references deep"):
                read_usd(path)


@pytest.mark.parametrize(("opened", "closed"), [('def "a" {\n', "}\n"), ("[", "]"), ("(", ")"), ("{dictionary a = ", "}")])
def test_brackets_that_would_crash_the_parser_are_refused(tmp_path: Path, opened: str, closed: str):
    (tmp_path / "a.usda").write_text("#usda 1.0\n" + opened * 200_000 + closed * 200_000)
    with pytest.raises(DataError, match="nested more than 512 deep"):
        read_usd(tmp_path / "a.usda")


def test_closing_brackets_in_strings_hide_nothing(tmp_path: Path):
    hidden = 'custom string a = "]]]]]]]]]]"\n' * 100_000
    (tmp_path / "a.usda").write_text('#usda 1.0\ndef Sphere "s" {\n' + hidden + "[" * 200_000 + "]" * 200_000 + "}\n")
    with pytest.raises(DataError, match="nested more than 512 deep"):
        read_usd(tmp_path / "a.usda")


def test_brackets_in_strings_and_remarks_count_for_nothing(tmp_path: Path):
    text = BALL + "# " + "[" * 1000 + '\ndef Xform "x" {\ncustom string a = "' + "((({{{" * 200 + '"\n}\n'
    (tmp_path / "a.usda").write_text(text)
    assert len(read_usd(tmp_path / "a.usda").bodies) == 1


def test_files_that_are_too_large_or_no_files_are_refused(tmp_path: Path, monkeypatch):
    path = tmp_path / "a.usda"
    with pytest.raises(DataError, match=r"a.usda is not a file"):
        read_usd(path)
    path.write_text(BALL)
    monkeypatch.setattr(usd_open, "MAX_FILE_BYTES", 10)
    with pytest.raises(DataError, match=f"has {len(BALL)} bytes; at most 10 are read"):
        read_usd(path)


@pytest.mark.parametrize("suffix", [".usd", ".usda", ".usdc", ".usdz"])
@pytest.mark.parametrize("content", [b"", b"nothing", b"PXR-USDC" + b"\xff" * 200, b"PK\x03\x04" + b"\0" * 100, b"#usda 1.0\ndef {"])
def test_broken_files_are_refused_by_name(tmp_path: Path, suffix: str, content: bytes):
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="broken"):
        read_usd(path)


def test_compressed_packages_are_refused(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.usdz", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("a.usda", BALL)
    with pytest.raises(DataError, match="stored uncompressed"):
        read_usd(tmp_path / "a.usdz")


def test_truncated_files_are_refused_or_read(tmp_path: Path):
    """Never a crash, never another error: a cut text may still be a whole file of fewer prims."""
    for suffix in (".usdc", ".usdz", ".usda"):
        whole = tmp_path / f"whole{suffix}"
        write_usd(one_of_everything(), whole)
        data = whole.read_bytes()
        for share in (0.1, 0.5, 0.9, 0.999):
            cut = tmp_path / f"cut{share}{suffix}"
            cut.write_bytes(data[: int(len(data) * share)])
            with pytest.raises(DataError, match="cut"):
                read_usd(cut)


@pytest.mark.parametrize(("fault", "told"), [("while True: pass", "takes too long to read"), ("import os; os.abort()", "dies of")])
def test_binary_files_that_openusd_does_not_survive_are_refused(tmp_path: Path, monkeypatch, fault: str, told: str):
    """A few wrong bytes in a crate do this; which ones differs from version to version, so the child itself is made to fail."""
    write_usd(one_of_everything(), tmp_path / "a.usdc")
    probe = tmp_path / "probe.py"
    probe.write_text(f"import resource, sys\nresource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]),) * 2)\n{fault}\n")
    monkeypatch.setattr(usd_open, "_PROBE", probe)
    monkeypatch.setattr(usd_open, "PROBE_SECONDS", 1)
    with pytest.raises(DataError, match=rf"a\.usdc: OpenUSD {told} this file"):
        read_usd(tmp_path / "a.usdc")


def test_attributes_of_another_type_are_refused(tmp_path: Path):
    text = 'def Xform "top" { def Sphere "s" { string radius = "one" } }'
    with pytest.raises(DataError, match=r"root\.usda"):
        read_usd(usda(tmp_path / "root.usda", text))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.usdz"
    write_usd(one_of_everything(), path)
    before = path.read_bytes()
    with pytest.raises(DataError):
        write_usd(replace(one_of_everything(), name="\0"), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
