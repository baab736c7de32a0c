//! Configurations of reverse proxies that send only what has to be gated
//! through Myelin.
//!
//! Each names what may go straight to the homeserver, literally, and sends all
//! else to Myelin. A path that the proxy, Myelin and the homeserver could read
//! differently (an escape, `//`, a dot segment, `;`, another case) is never
//! literally one of these, so that it is Myelin that refuses it.

use myelin_server::routes::{STRAIGHT, Straight};

use crate::args::Proxied;

/// What these files have in common at their beginning.
const ABOUT: &str = "\
# Made by `myelin routes`: the busy paths go straight to the homeserver, all else
# to Myelin. Make it again after an update. Nobody but this proxy and Myelin may
# reach the homeserver. Put this proxy's address into Myelin's proxy.trusted.
";

/// A segment that reads the same to everybody: no dot at its beginning, no
/// escape but of `!`, `#`, `$`, `:`, `=`, `@`, which room and event IDs hold.
/// For the regular expressions of PCRE and of Go.
const SEGMENT: &str = "/(?:[A-Za-z0-9_!$:=@~+-]|%(?:21|23|24|3A|3a|3D|3d|40))\
    (?:[A-Za-z0-9_!$:=@~+.-]|%(?:21|23|24|3A|3a|3D|3d|40))*";

/// One place as a regular expression over a path.
fn pattern(straight: &Straight) -> String {
    let path = straight.path.replace('.', "\\.");
    if straight.below { format!("{path}(?:{SEGMENT})+") } else { path }
}

/// Every place, each made into a line by `line`.
fn lines(line: impl Fn(&str) -> String) -> String {
    STRAIGHT.iter().map(|straight| line(&pattern(straight))).collect()
}

/// A configuration of nginx, for its `http` block.
pub(super) fn nginx(Proxied { gateway, homeserver }: &Proxied) -> String {
    // $request_uri is what the client sent. A `location` would match what nginx
    // makes of it, and still pass on what the client sent.
    let straight = lines(|path| format!("    \"~^{path}(?:\\?.*)?$\" myelin_homeserver;\n"));
    format!(
        r"{ABOUT}
map $request_uri $myelin_to {{
    default myelin_gateway;
{straight}}}
upstream myelin_gateway {{ server {gateway}; }}
upstream myelin_homeserver {{ server {homeserver}; }}

server {{
    # Yours: listen, server_name, certificates.
    listen 80;
    client_max_body_size 0;

    location / {{
        proxy_pass http://$myelin_to;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_read_timeout 10m;
    }}
}}
"
    )
}

/// A Caddyfile.
pub(super) fn caddy(Proxied { gateway, homeserver }: &Proxied) -> String {
    // {uri} is what the client sent. `path_regexp` would match what Caddy makes
    // of it.
    let all: Vec<_> = STRAIGHT.iter().map(pattern).collect();
    let all = all.join("|");
    format!(
        r"{ABOUT}
# Yours: the address of the site.
http://matrix.example.org {{
	@straight vars_regexp straight {{http.request.uri}} `^(?:{all})(?:\?.*)?$`
	handle @straight {{
		reverse_proxy http://{homeserver}
	}}
	handle {{
		reverse_proxy http://{gateway}
	}}
}}
"
    )
}

/// A dynamic configuration of Traefik (version 3), in YAML.
pub(super) fn traefik(Proxied { gateway, homeserver }: &Proxied) -> String {
    // Traefik matches the decoded path. What these patterns match holds nothing
    // that a second reading would change.
    let all: Vec<_> = STRAIGHT.iter().map(pattern).collect();
    let all = all.join("|");
    format!(
        r#"{ABOUT}
http:
  routers:
    # Yours: entryPoints, tls, and a Host rule in both.
    myelin-homeserver:
      rule: 'PathRegexp(`^(?:{all})$`)'
      priority: 2
      service: myelin-homeserver
    myelin-gateway:
      rule: 'PathPrefix(`/`)'
      priority: 1
      service: myelin-gateway
  services:
    myelin-homeserver:
      loadBalancer:
        servers:
          - url: "http://{homeserver}"
    myelin-gateway:
      loadBalancer:
        servers:
          - url: "http://{gateway}"
"#
    )
}

/// A configuration of `HAProxy`.
pub(super) fn haproxy(Proxied { gateway, homeserver }: &Proxied) -> String {
    // `path` is what the client sent, up to the query.
    let straight = lines(|path| format!("    acl straight path -m reg '^{path}$'\n"));
    format!(
        "{ABOUT}
defaults
    mode http
    timeout connect 10s
    timeout client 10m
    timeout server 10m

frontend matrix
    # Yours: bind, certificates.
    bind :80
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
{straight}    use_backend homeserver if straight
    default_backend myelin

backend homeserver
    server homeserver {homeserver}

backend myelin
    server myelin {gateway}
"
    )
}
