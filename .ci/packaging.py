#!/usr/bin/env python3
"""What is shipped for operators names what exists.

The compose file, the unit, the pages about them, and what `myelin routes` prints for each proxy;
proxies that are installed read theirs themselves.
"""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from stack import Tally, Tools

TOP = Path(__file__).resolve().parent.parent


def compose(tally: Tally) -> None:
    file = yaml.safe_load((TOP / "docker-compose.yml").read_text())
    setup = (TOP / "dist/compose/setup").read_text()
    tally.check(set(file["services"]) == {"myelin", "synapse", "postgres", "element"}, "services")
    for name, service in file["services"].items():
        for port in service.get("ports", []):
            tally.check(port.startswith("127.0.0.1:"), f"{name}: {port} is loopback")
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = source.startswith("./data/") or (TOP / source).is_file()
            tally.check(known, f"{name}: {source} exists")
        for used in service.get("secrets", []):
            source = used["source"] if isinstance(used, dict) else used
            tally.check(source in file["secrets"], f"{name}: secret {source} is defined")
        for network in service["networks"]:
            tally.check(network in file["networks"], f"{name}: network {network} is defined")
        for other in service.get("depends_on", {}):
            tally.check(other in file["services"], f"{name}: {other} is a service")
        build = service.get("build")
        if build:
            docker = build["dockerfile"] if isinstance(build, dict) else "Dockerfile"
            tally.check((TOP / docker).is_file(), f"{name}: {docker} exists")
        else:
            tally.check(":latest" not in service["image"] and ":" in service["image"], "a version")
    published = [name for name, service in file["services"].items() if "ports" in service]
    tally.check(sorted(published) == ["element", "myelin"], "Synapse is not published", published)
    shared = [name for name, one in file["services"].items() if "homeserver" in one["networks"]]
    tally.check(sorted(shared) == ["myelin", "synapse"], "nobody else reaches Synapse", shared)
    for name, secret in file["secrets"].items():
        made = Path(secret["file"]).name
        tally.check(f"> {made}" in setup or f'> "{made}"' in setup, f"setup makes {name}")
    for source in ("data/myelin", "data/synapse", "data/postgres"):
        tally.check(source in setup, f"setup makes {source}")
    json.loads((TOP / "dist/compose/element.json").read_text())
    synapse = yaml.safe_load((TOP / "dist/compose/homeserver.yaml").read_text())
    secret = synapse["modules"][0]["config"]["secret_path"].removeprefix("/run/secrets/")
    tally.check(secret in file["services"]["synapse"]["secrets"], "the module finds its secret")


def environment(tally: Tally, tools: Tools) -> None:
    """Every variable that is set is one that Myelin knows."""
    printed = subprocess.run([tools.myelin, "config", "init"], capture_output=True, text=True)
    for name in ("docker-compose.yml", "Dockerfile", "dist/myelin.service"):
        for variable in re.findall(r"MYELIN_[A-Z_]+", (TOP / name).read_text()):
            tally.check(variable in printed.stdout, f"{name}: {variable} is a setting")


def images(tally: Tally) -> None:
    """What the images are built from is there, and not kept out of the context."""
    for name in ("Dockerfile", "dist/compose/synapse.Dockerfile"):
        text = (TOP / name).read_text()
        tally.check("HEALTHCHECK" in text, f"{name}: a health check")
        for image in re.findall(r"^FROM (\S+)|--from=(\S+:\S+)", text, re.M):
            image = "".join(image)
            tally.check(":" in image and ":latest" not in image, f"{name}: {image} is pinned")
    tally.check("USER 65532" in (TOP / "Dockerfile").read_text(), "Myelin is not root")
    for kept in re.findall(r"^!(.*)", (TOP / ".dockerignore").read_text(), re.M):
        tally.check((TOP / kept).exists(), f".dockerignore: {kept} exists")


def walkthroughs(tally: Tally, tools: Tools) -> None:
    """What the pages tell an operator to write is accepted, and fits the unit."""
    text = (TOP / "dist/myelin.service").read_text()
    user, state = (re.search(rf"^{key}=(.+)", text, re.M)[1] for key in ("User", "StateDirectory"))
    page = (TOP / "docs/synapse.md").read_text()
    tally.check(bool(re.search(rf"^useradd .* {user}$", page, re.M)), f"the user {user} is made")
    for called in re.findall(r"^runuser -u (\S+)", page, re.M):
        tally.check(called == user, f"commands run as {user}", called)
    for name in ("synapse", "generic"):
        page = (TOP / f"docs/{name}.md").read_text()
        shown = re.search(r"^```toml\n(.*?)^```", page, re.M | re.S)[1]
        tally.check(f'data_dir = "/var/lib/{state}"' in shown, f"{name}: the unit's directory")
        with tempfile.TemporaryDirectory() as place:
            file, secret = Path(place, "myelin.toml"), Path(place, "synapse-secret")
            file.write_text(shown)
            secret.write_text("s" * 64)
            secret.chmod(0o600)
            command = [tools.myelin, "config", "check", "--config", file]
            ran = subprocess.run(command, capture_output=True, text=True)
            tally.check(ran.returncode == 0, f"{name}: the configuration is accepted", ran.stderr)


def unit(tally: Tally) -> None:
    if not shutil.which("systemd-analyze"):
        print("systemd-analyze is NOT installed, so the unit is not read", flush=True)
        return
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "myelin.service")
        text = (TOP / "dist/myelin.service").read_text()
        copy.write_text(text.replace("/usr/local/bin/myelin", "/bin/true"))
        ran = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        tally.check(ran.returncode == 0 and not ran.stderr, "the unit is right", ran.stderr)
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", copy]
        ran = subprocess.run(command, capture_output=True, text=True)
        tally.check(ran.returncode == 0, "exposure is 1.5 at most", ran.stdout[-200:])


def proxies(tally: Tally, tools: Tools) -> None:
    def printed(form: str) -> str:
        command = [tools.myelin, "routes", "--format", form]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    routers = yaml.safe_load(printed("traefik"))["http"]["routers"]
    straight, gated = routers["myelin-homeserver"], routers["myelin-gateway"]
    tally.check(straight["priority"] > gated["priority"], "Traefik asks for the busy paths first")
    pattern = re.compile(straight["rule"].removeprefix("PathRegexp(`").removesuffix("`)"))
    for path in BUSY:
        tally.check(bool(pattern.search(path)), f"{path} goes straight")
    for path in GATED:
        tally.check(not pattern.search(path), f"{path} goes to Myelin")
    readers = {"haproxy": ["haproxy", "-c", "-f"], "caddy": ["caddy", "validate", "--config"]}
    for form, command in readers.items():
        if not shutil.which(form):
            print(f"{form} is NOT installed, so it does not read its configuration", flush=True)
            continue
        with tempfile.TemporaryDirectory() as place:
            file = Path(place, "Caddyfile")
            file.write_text(printed(form))
            ran = subprocess.run([*command, file], capture_output=True, text=True)
            tally.check(ran.returncode == 0, f"{form} reads its configuration", ran.stderr)


BUSY = [
    "/_matrix/client/v3/sync",
    "/_matrix/client/v3/rooms/!x:example.org/send/m.room.message/1",
    "/_matrix/client/v3/rooms/%21x%3Aexample.org/messages",
    "/_matrix/media/v3/upload",
]
GATED = [
    "/_matrix/client/v3/login",
    "/_matrix/client/v3/sync/../login",
    "/_matrix/client/v3/sync/",
    "/_matrix/client/v3/rooms/../login",
    "/_matrix/client/v3/rooms/x/%2e%2e/login",
    "/_matrix/client/v3/rooms/x%2f..%2flogin",
    "/_matrix/client/v3/rooms/x/%252e%252e/login",
    "/_matrix/client/v3/rooms//login",
    "/_matrix/client/v3/rooms/;/login",
    "/_matrix/client/V3/sync",
    "/_matrix/client/v3/devices/X",
    "/_synapse/admin/v1/register",
    "/x/_matrix/client/v3/sync",
]


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    compose(tally)
    environment(tally, tools)
    images(tally)
    walkthroughs(tally, tools)
    unit(tally)
    proxies(tally, tools)
    tally.end()


if __name__ == "__main__":
    main()
