"""Importing vnodes from files that others wrote."""

import json
from pathlib import Path

import pytest

from nsmig_tui.domain.errors import UsageError
from nsmig_tui.engine.inventory.ansible_hosts import InventoryHost, read_hosts
from nsmig_tui.engine.inventory.ssh_hosts import read_names

INI = """\
lonely ansible_host=192.0.2.9 ; note
[web]
web[01:03].example ansible_port=2222
db-[a:b] ansible_host=10.0.0.1  # comment
[web:vars]
ansible_user=deploy
[mail]
web01.example
[all:vars]
ansible_password = "hunter2"
[sites:children]
web
mail
"""


@pytest.fixture
def no_tool(monkeypatch):
    monkeypatch.setattr("nsmig_tui.engine.inventory.ansible_hosts.shutil.which", lambda name: None)


def test_ssh_names(tmp_path):
    inner = tmp_path / "conf.d"
    inner.mkdir()
    (inner / "a.conf").write_text('Host inner "quoted"\nInclude ../config\n')
    path = tmp_path / "config"
    path.write_text(
        "# Host commented\nHost one two *.wild !not ?x\n  HostName 192.0.2.1\nhost=three\nHost = four\n"
        "Include conf.d/*.conf missing.conf\nMatch host five\n  User x\nHost one\n"
    )
    assert read_names(path) == ["one", "two", "three", "four", "inner", "quoted"]


def test_ssh_file_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_names(tmp_path / "none")


def test_ini_inventory(tmp_path, no_tool):
    path = tmp_path / "hosts"
    path.write_text(INI)
    assert read_hosts(path) == [
        InventoryHost("lonely", "", "192.0.2.9"),
        InventoryHost("web01.example", "web", "", "2222", "deploy"),
        InventoryHost("web02.example", "web", "", "2222", "deploy"),
        InventoryHost("web03.example", "web", "", "2222", "deploy"),
        InventoryHost("db-a", "web", "10.0.0.1", "", "deploy"),
        InventoryHost("db-b", "web", "10.0.0.1", "", "deploy"),
    ]


def test_an_inventory_saved_by_windows(tmp_path, no_tool):
    """A mark at the beginning hid the first group, and the user that it says with it."""
    path = tmp_path / "hosts"
    path.write_bytes(b"\xef\xbb\xbf[web]\r\nw1\r\n\r\n[web:vars]\r\nansible_user=admin\r\n")
    assert read_hosts(path) == [InventoryHost("w1", "web", user="admin")]


def test_a_key_of_its_own_goes_into_the_stanza(tmp_path, no_tool, bench):
    path = tmp_path / "hosts"
    path.write_text("w1 ansible_host=192.0.2.1 ansible_ssh_private_key_file=~/.ssh/web\nw2\n")
    found = bench.run("node", "import", "--ansible-inventory", str(path), "--json").document
    assert found["added"] == ["w1", "w2"]
    assert found["ssh_config"] == ["Host w1\n    HostName 192.0.2.1\n    IdentityFile ~/.ssh/web"]
    rows = bench.run("node", "list", "--json").document
    assert next(row["ssh_host"] for row in rows if row["name"] == "w1") == "w1"


YAML = """\
all:
  hosts:
    lonely: {ansible_host: 192.0.2.9}
  vars: {ansible_user: deploy, ansible_password: hunter2}
  children:
    web:
      hosts:
        web[01:02].example:
          ansible_port: 2222
          ansible_become_password: !vault |
            $ANSIBLE_VAULT;1.1;AES256
            6162
      vars: {ansible_user: www}
    sites:
      children:
        mail:
          hosts: {mx.example: , web01.example: }
"""


@pytest.mark.parametrize(("name", "head"), [("hosts.yml", ""), ("hosts", "---\n"), ("hosts", "# ours\n\n")])
def test_yaml_inventory(tmp_path, no_tool, name, head):
    (tmp_path / name).write_text(head + YAML)
    assert read_hosts(tmp_path / name) == [
        InventoryHost("lonely", "", "192.0.2.9", "", "deploy"),
        InventoryHost("web01.example", "web", "", "2222", "www"),
        InventoryHost("web02.example", "web", "", "2222", "www"),
        InventoryHost("mx.example", "mail", "", "", "deploy"),
    ]


PORTS_INI = """\
[web]
badwolf.example.com:5309
web[1:2].example:2222
db[a:b]
own.example:1 ansible_port=22
[2001:db8::1]:2022
192.0.2.1:2200
2001:db8::2
"""

PORTS_YAML = """\
web:
  hosts:
    badwolf.example.com:5309:
    web[1:2].example:2222:
    db[a:b]:
    own.example:1: {ansible_port: 22}
    "[2001:db8::1]:2022":
    192.0.2.1:2200:
    "2001:db8::2":
"""


@pytest.mark.parametrize(("name", "text"), [("hosts", PORTS_INI), ("hosts.yml", PORTS_YAML)])
def test_a_port_may_follow_a_name(tmp_path, no_tool, name, text):
    (tmp_path / name).write_text(text)
    assert [(host.name, host.port) for host in read_hosts(tmp_path / name)] == [
        ("badwolf.example.com", "5309"),
        ("web1.example", "2222"),
        ("web2.example", "2222"),
        ("dba", ""),
        ("dbb", ""),
        ("own.example", "22"),
        ("2001:db8::1", "2022"),
        ("192.0.2.1", "2200"),
        ("2001:db8::2", ""),
    ]


PARENTS_INI = """\
[web]
w1 ansible_port=2201
w2
[other]
w2
[prod:children]
web
other
[prod:vars]
ansible_port=2222 # not 22
ansible_user=deploy
[other:vars]
ansible_user=second
[all:vars]
ansible_user=everybody
"""
PARENTS_YAML = """\
web: {hosts: {w1: {ansible_port: 2201}, w2: }}
other: {hosts: {w2: }, vars: {ansible_user: second}}
prod: {children: {web: , other: }, vars: {ansible_port: 2222, ansible_user: deploy}}
all: {vars: {ansible_user: everybody}}
"""


@pytest.mark.parametrize(("name", "text"), [("hosts", PARENTS_INI), ("hosts.yml", PARENTS_YAML)])
def test_what_a_groups_parents_say_holds_for_its_hosts(tmp_path, no_tool, name, text):
    """all's before parents' before children's before the host's own, as Ansible merges them."""
    (tmp_path / name).write_text(text)
    assert read_hosts(tmp_path / name) == [
        InventoryHost("w1", "web", "", "2201", "deploy"),
        InventoryHost("w2", "web", "", "2222", "second"),
    ]


def test_an_inventory_that_never_ends(no_tool):
    with pytest.raises(UsageError, match="no inventory"):
        read_hosts(Path("/dev/zero"))


LISTED = {
    "_meta": {
        "hostvars": {"a": {"ansible_host": "192.0.2.1", "ansible_port": 22, "ansible_password": "hunter2"}}
    },
    "all": {"children": ["ungrouped", "web"]},
    "ungrouped": {"hosts": ["b"]},
    "web": {"hosts": ["a", "b"]},
}
EXPECTED = [InventoryHost("b", "web"), InventoryHost("a", "web", "192.0.2.1", "22")]


def test_json_inventory(tmp_path, no_tool):
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps(LISTED))
    assert read_hosts(path) == EXPECTED


def test_ansibles_own_tool_is_asked_where_it_is(tmp_path, monkeypatch):
    tool = tmp_path / "ansible-inventory"
    tool.write_text(
        f"#!/bin/sh\n[ \"$1 $3\" = '-i --list' ] || exit 9\ncat <<'EOF'\n{json.dumps(LISTED)}\nEOF\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "hosts.yml").write_text("all: {}\n")
    assert read_hosts(tmp_path / "hosts.yml") == EXPECTED
    tool.write_text("#!/bin/sh\necho 'ERROR! bad' >&2\nexit 4\n")
    with pytest.raises(UsageError, match="ERROR! bad"):
        read_hosts(tmp_path / "hosts.yml")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("h.yml", "all: [", "YAML: line 1"),
        ("h", "---\nall: 3", "YAML: '3' stands"),
        ("h.yml", "a: &a\n  children: {b: *a}\n", "never end"),
        pytest.param("h.yml", "[" * 5000, "nested too deeply|YAML", id="deep"),
        ("h", "{", "JSON"),
        ("h", 'a b="', "line 1"),
        ("h", "[a]\nx\n[a:children]\nb\n[b:children]\na\n", "circle"),
    ],
)
def test_inventories_that_we_cannot_read(tmp_path, no_tool, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        read_hosts(tmp_path / name)


def test_import_from_ssh(bench):
    path = bench.directory / "ssh_config"
    path.write_text("Host web1 web3 db1 *.x\nHost a:b\n")
    ended = bench.run("node", "import", "--ssh-config", str(path), "--match", "[wa]*", "--json")
    assert ended.code == 0
    assert (ended.document["added"], ended.document["known"]) == (["web3"], ["web1"])
    assert [row["name"] for row in ended.document["refused"]] == ["a:b"]
    assert [vnode.name for vnode in bench.store().vnodes()] == ["web1", "web2", "web3"]


@pytest.mark.parametrize(
    "words, jump, more",
    [
        ("-J bastion", "bastion", ()),
        ("-o ProxyJump=ops@bastion:2222", "ops@bastion:2222", ()),
        ('-o "ProxyJump bastion"', "bastion", ()),
        ("-o ProxyJump=bastion -o ControlMaster=no", "bastion", ("ansible_ssh_common_args",)),
        ("-o ProxyCommand='sshpass -p hunter2 ssh b'", "", ("ansible_ssh_common_args",)),
        ("-J {{ bastion }}", "", ("ansible_ssh_common_args",)),
    ],
)
def test_a_jump_host_is_told_and_other_words_for_ssh_are_named(tmp_path, no_tool, words, jump, more):
    path = tmp_path / "hosts.json"
    variables = {"w1": {"ansible_ssh_common_args": words}}
    path.write_text(json.dumps({"web": {"hosts": ["w1"]}, "_meta": {"hostvars": variables}}))
    (host,) = read_hosts(path)
    assert (host.jump, host.more, host.needs_stanza) == (jump, more, True)
    assert "hunter2" not in host.stanza and ("ProxyJump" in host.stanza) == bool(jump)
    assert ("ansible_ssh_common_args" in host.stanza) == bool(more)


@pytest.mark.parametrize("name", ["web[1:999999999]", "web[1:999][1:999]"])
def test_a_range_that_never_ends_is_refused(tmp_path, no_tool, name):
    path = tmp_path / "hosts"
    path.write_text(f"{name}\n")
    with pytest.raises(UsageError, match="stands for more than 10,000 hosts"):
        read_hosts(path)


def test_import_from_ansible(bench, no_tool):
    path = bench.directory / "hosts"
    path.write_text(INI)
    ended = bench.run("node", "import", "--ansible-inventory", str(path), "--match", "*l*")
    assert ended.code == 0 and ended.out.splitlines()[0] == "lonely"
    assert "Host web01.example\n    Port 2222\n    User deploy\n" in ended.err
    vnodes = {vnode.name: (vnode.vsite, vnode.ssh_host) for vnode in bench.store().vnodes()}
    assert vnodes["lonely"] == ("default", "192.0.2.9")
    assert vnodes["web02.example"] == ("web", "")
    assert "hunter2" not in ended.out + ended.err


def test_a_name_that_is_no_text_stops_nothing(bench):
    path = bench.directory / "ssh_config"
    path.write_bytes(b"Host one\nHost caf\xe9\nHost two\n")
    ended = bench.run("node", "import", "--ssh-config", str(path), "--json")
    assert ended.code == 0
    assert ended.document["added"] == ["one", "two"]
    assert ended.document["refused"][0]["name"] == "caf\\xe9"
