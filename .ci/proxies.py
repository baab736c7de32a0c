"""Proxies on loopback, with the configuration that `myelin routes` prints.

What goes straight to the homeserver is answered with `X-Straight`.
"""

import sys
from pathlib import Path


def put(text: str, old: str, new: str) -> str:
    """Replaces what has to be there once."""
    if text.count(old) != 1:
        sys.exit(f"{old} is {text.count(old)} times in:\n{text}")
    return text.replace(old, new)


def nginx(place: Path, port: int, printed: str, _homeserver: str) -> list[str]:
    printed = put(
        printed, "listen 80;", f"listen 127.0.0.1:{port}; add_header X-Straight $straight;"
    )
    kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = "".join(f"{kind}_temp_path {place}/{kind};\n" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"daemon off; pid {place}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{ {paths} access_log off;\n"
        f"map $myelin_to $straight {{ myelin_homeserver 1; }}\n{printed} }}\n"
    )
    return ["nginx", "-p", str(place), "-e", "stderr", "-c", str(place / "nginx.conf")]


def haproxy(place: Path, port: int, printed: str, _homeserver: str) -> list[str]:
    printed = put(printed, "bind :80", f"bind 127.0.0.1:{port}")
    backend = "backend homeserver\n"
    printed = put(printed, backend, backend + "    http-response set-header X-Straight 1\n")
    (place / "haproxy.cfg").write_text(printed)
    return ["haproxy", "-db", "-f", str(place / "haproxy.cfg")]


def caddy(place: Path, port: int, printed: str, homeserver: str) -> list[str]:
    site = f"http://:{port} {{\n\tbind 127.0.0.1\n"
    printed = put(printed, "http://matrix.example.org {\n", site)
    to = f"reverse_proxy http://{homeserver}"
    printed = put(printed, to, to + " {\n\t\t\theader_down X-Straight 1\n\t\t}")
    (place / "Caddyfile").write_text("{\n\tadmin off\n}\n" + printed)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(place / "Caddyfile")]


CONFIGURE = {"nginx": nginx, "haproxy": haproxy, "caddy": caddy}
