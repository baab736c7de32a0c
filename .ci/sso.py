#!/usr/bin/env python3
"""The homeserver's own single sign-on as a first factor, before a real Synapse.

A browser goes from Myelin's pages to an OpenID Connect provider and back, as
people who have no password at Synapse. What is tried besides: to use what lies
on the way without a second factor, or for somebody else. Then all of it in a
real browser.
"""

import html
import os
import re
import secrets
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import requests

from life import PERIOD, TIMEOUT_S, Person, wait_for_a_young_step
from stack import Stack, Tally, Tools

CLIENT = "http://localhost:9/client"
WITH = "Continue with Example Corp"
LOGIN = "/_matrix/client/v3/login"


class Page(HTMLParser):
    """A page: its text, its links, and its first form."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.answer, self.url, self.status = answer, answer.url, answer.status_code
        self.text = html.unescape(answer.text)
        self.links: dict[str, str] = {}
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._link: str | None = None
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        at = {name: value or "" for name, value in attrs}
        if tag == "a":
            self._link = at.get("href")
        elif tag == "form" and self.action is None:
            self.action = urljoin(self.url, at.get("action", "")) if "action" in at else self.url
        elif tag == "input" and "name" in at:
            self.fields.setdefault(at["name"], at.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self._link is not None and data.strip():
            self.links[data.strip()] = urljoin(self.url, self._link)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = None

    def __contains__(self, text: str) -> bool:
        return text in self.text


class Browser:
    """A browser without scripts. It goes nowhere but to this machine."""

    def __init__(self) -> None:
        self.session = requests.Session()

    def _go(self, method: str, url: str, data: dict | None = None, before: str = "") -> Page | str:
        """The page that this leads to; or, before that, an address with `before` in it."""
        for _ in range(10):
            ask = {"data": data, "timeout": TIMEOUT_S, "allow_redirects": False}
            answer = self.session.request(method, url, **ask)
            for cookie in self.session.cookies:
                # As in a browser, which trusts a way that does not leave the machine.
                cookie.secure = False
            if not answer.is_redirect:
                return Page(answer)
            method, url, data = "GET", urljoin(url, answer.headers["location"]), None
            if before and before in url:
                return url
        raise AssertionError(f"it leads nowhere: {url}")

    def get(self, url: str) -> Page:
        return self._go("GET", url)

    def submit(self, page: Page, **typed: str) -> Page:
        return self._go("POST", page.action, page.fields | typed)

    def sign_on(self, page: Page, name: str) -> Page:
        """Goes to the provider, and comes back as this user."""
        return self.submit(self.get(page.links[WITH]), sub=name)

    def intercept(self, page: Page, name: str) -> str:
        """The same; the address with the login token, not yet gone to."""
        asked = self.get(page.links[WITH])
        return self._go("POST", asked.action, {"sub": name}, "/account/sign-on/return")


class Place:
    """Myelin, Synapse and the provider."""

    def __init__(self, stack: Stack) -> None:
        self.stack, self.url = stack, stack.url

    def start(self, browser: Browser, target: str = CLIENT) -> Page:
        return browser.get(f"{self.url}{LOGIN}/sso/redirect?redirectUrl={target}")

    def login(self, token: str, url: str = "") -> requests.Response:
        body = {"type": "m.login.token", "token": token}
        return requests.post((url or self.url) + LOGIN, json=body, timeout=TIMEOUT_S)

    def log_in(self, page: Page) -> Person:
        """Goes on to the client, which uses its token."""
        answer = self.login(token_of(page)).json()
        person = Person(self.url, answer["user_id"].split(":")[0][1:])
        person.user_id, person.token = answer["user_id"], answer["access_token"]
        return person


def token_of(page: Page) -> str:
    found = re.search(re.escape(CLIENT) + r"\?loginToken=([\w-]+)", page.text)
    assert found, page.text
    return found[1]


def whole_life(tally: Tally, place: Place) -> None:
    """Someone without a password at Synapse."""
    browser = Browser()
    page = place.start(browser)
    tally.check(WITH in page.links and "Password" in page, "both ways are offered", page.text)
    page = browser.sign_on(page, "newcomer")
    tally.check("newcomer:synapse.test" in page, "the person is asked where to", page.text)
    newcomer = place.log_in(browser.submit(page))
    tally.check(newcomer.user_id == "@newcomer:synapse.test", "and logged in", newcomer.user_id)

    # The account page takes the provider's word for a change, where it is fresh.
    page = browser.get(f"{place.url}/account")
    page = browser.sign_on(page, "newcomer")
    tally.check("Your account" in page, "the account page is reached", page.text)
    page = browser.get(f"{place.url}/account/change?do=add")
    tally.check('name="password"' in page, "a change takes a proof", page.text)
    page = browser.sign_on(page, "somebody-else")
    tally.check('name="password"' in page, "and not somebody else's", page.text)
    page = browser.sign_on(page, "newcomer")
    tally.check('name="password"' not in page, "the provider's word is one", page.text)
    wait_for_a_young_step()
    page = browser.submit(page, name="Phone")
    newcomer.secret = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
    start = time.time()
    page = browser.submit(page, code=newcomer.code(start - PERIOD))
    tally.check("Save your recovery codes" in page, "an authenticator is set up", page.text)
    codes = re.findall(r"<li>([0-9A-Z-]+)</li>", page.answer.text)
    page = browser.get(f"{place.url}/account/change?do=add")
    tally.check('name="code"' in page and WITH not in page.links, "then it takes a code", page.text)

    browser = Browser()
    page = browser.sign_on(place.start(browser), "newcomer")
    tally.check("Enter your code" in page, "a code is asked for", page.text)
    tally.check("loginToken" not in page, "there is no token yet", page.text)
    page = browser.submit(page, code="000000")
    tally.check(page.status == 403, "a wrong one leads nowhere", page.text)
    page = browser.submit(page, code=newcomer.code(start))
    again = place.log_in(browser.submit(page))
    tally.check(again.user_id == newcomer.user_id, "the right one logs in", again.user_id)
    operation(tally, newcomer, again, codes)


def operation(
    tally: Tally, newcomer: Person, again: Person, codes: list[str]
) -> None:
    """They sign out a device, by the page that stands for all stages."""
    device = requests.get(
        f"{again.base}/account/whoami",
        headers={"Authorization": f"Bearer {again.token}"},
        timeout=TIMEOUT_S,
    ).json()["device_id"]
    body = {"devices": [device]}
    challenge = newcomer.send("POST", "/delete_devices", body).json()
    tally.check(challenge["flows"][0]["stages"] == ["m.login.sso"], "a page is offered", challenge)
    session = challenge["session"]
    url = f"{newcomer.base}/auth/m.login.sso/fallback/web?session={session}"
    waiting = {**body, "auth": {"session": session}}
    browser = Browser()
    page = browser.sign_on(browser.get(url), "somebody-else")
    tally.check("signed in as somebody else" in page, "it is for its own user", page.text)
    tally.check(page.status == 403, "whoever else signs on is refused", page.status)
    tried = browser.submit(page, password="not this", code="000000")
    tally.check("The user name or the password" in tried, "and may still type", tried.text)
    page = browser.sign_on(page, "newcomer")
    tally.check("Use a recovery code instead" in page.links, "a code is asked for", page.text)
    status = newcomer.send("POST", "/delete_devices", waiting).status_code
    tally.check(status == 401, "the first factor does nothing", status)
    page = browser.get(page.links["Use a recovery code instead"])
    page = browser.submit(page, code=codes[0])
    tally.check("sign out devices" in page and device in page, "it says what for", page.text)
    status = newcomer.send("POST", "/delete_devices", waiting).status_code
    tally.check(status == 401, "nothing is confirmed before the button", status)
    stale = page
    page = browser.submit(page)
    tally.check("Confirmed" in page, "it is confirmed", page.text)
    status = newcomer.send("POST", "/delete_devices", waiting).status_code
    tally.check(status == 200, "and done", status)
    page = browser.submit(stale)
    tally.check(page.status in (403, 410), "and not done twice", page.text)


def attacks(tally: Tally, place: Place) -> None:
    """What lies on the way, and who else could use it."""
    browser, other = Browser(), Browser()
    address = browser.intercept(place.start(browser), "newcomer")
    [token] = parse_qs(urlsplit(address).query)["loginToken"]
    for name, url in [("the gateway", place.url), ("Synapse's port", place.stack.direct)]:
        answer = place.login(token, url)
        held = answer.status_code == 403 and "access_token" not in answer.text
        tally.check(held, f"Synapse's own token is refused at {name}", answer.text)
    place.start(other)
    address = browser.intercept(place.start(browser), "newcomer")
    page = other.get(address)
    tally.check(page.status == 403, "another browser does not come back", page.text)
    moved = address.replace("localhost%3A9", "localhost%3A10")
    page = browser.get(moved)
    tally.check(page.status == 403, "nor does one to another client", page.text)
    page = browser.get(address)
    tally.check("Enter your code" in page, "the one that left does", page.text)
    page = browser.get(address)
    tally.check(page.status == 403, "once", page.text)
    for other_token in ["loginToken=nonsense", "", f"loginToken={token}"]:
        address = browser.intercept(place.start(browser), "newcomer")
        page = browser.get(re.sub("loginToken=[^&]*", other_token, address))
        tally.check(page.status == 410, f"a token that is none: {other_token}", page.text)
    for path in [
        "/_synapse/client/pick_idp?idp=oidc-corp&redirectUrl=http://localhost:9/",
        f"{LOGIN}/sso/redirect/?redirectUrl=http://localhost:9/",
        f"{LOGIN}/cas/redirect?redirectUrl=http://localhost:9/",
        "/_matrix/client/r0/login/cas/redirect?redirectUrl=http://localhost:9/",
        "/_matrix/client/r0/login/cas/ticket?ticket=x&redirectUrl=http://localhost:9/",
        "/_synapse/client/saml2/authn_response?SAMLResponse=x&RelayState=http://localhost:9/",
        "/_synapse/client/saml2/authn_response/..;/..;/x?RelayState=http://localhost:9/",
    ]:
        status = requests.get(place.url + path, timeout=TIMEOUT_S).status_code
        tally.check(status == 404, f"nothing else begins it: {path}", status)
    for provider in ["", "..", "oidc-corp/x", "a b", "oidc-corp%2f..", "x" * 300, "oidc-none"]:
        [link] = [url for name, url in place.start(browser).links.items() if name == WITH]
        page = browser.get(link.replace("oidc-corp", provider))
        tally.check(page.status == 404, f"no provider: {provider[:20]}", page.status)
    # A link of somebody else's, while the provider would ask for nothing.
    link = place.start(other).links[WITH]
    for from_elsewhere in [link, re.sub("&from=.*", "", link)]:
        page = browser.get(from_elsewhere)
        tally.check(WITH in page.links, "only a page of ours leads to the provider", page.text)
    page = browser.get(f"{place.url}/account/sign-on?provider=oidc-corp&redirect_url=javascript:x")
    tally.check(page.status == 400, "no client", page.status)


def policy(tally: Tally, place: Place, *, asks: bool = True) -> None:
    """Someone who has to have a second factor."""
    browser = Browser()
    page = browser.sign_on(place.start(browser), f"forced-{secrets.token_hex(4)}")
    tally.check("Set up two-factor sign-in" in page, "a factor is set up first", page.text)
    wait_for_a_young_step()
    page = browser.submit(page)
    person = Person(place.url, "forced")
    person.secret = re.search(r'id="secret"[^>]*>([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")
    page = browser.submit(page, code=person.code(time.time()))
    page = browser.submit(page, saved="yes")
    forced = place.log_in(browser.submit(page))
    tally.check(forced.user_id.startswith("@forced-"), "and logs in", forced.user_id)
    browser = Browser()
    page = browser.sign_on(place.start(browser), forced.name)
    tally.check(("Enter your code" in page) == asks, "from then on with a code", page.text)


def provider_decides(tally: Tally, place: Place) -> None:
    """The identity provider asks for a second factor itself."""
    browser = Browser()
    person = Person(place.url, f"trusted-{secrets.token_hex(4)}")
    person.register()
    wait_for_a_young_step()
    person.enrol(time.time())
    page = browser.sign_on(place.start(browser), person.name)
    again = place.log_in(browser.submit(page))
    tally.check(again.user_id == person.user_id, "no code is asked for", again.user_id)
    status = person.login_request().status_code
    tally.check(status == 401, "with a password it is", status)
    body = {"devices": ["NOSUCH"]}
    session = person.send("POST", "/delete_devices", body).json()["session"]
    fallback = f"{person.base}/auth/m.login.sso/fallback/web?session="
    page = browser.sign_on(browser.get(fallback + session), person.name)
    tally.check("Confirmed" in browser.submit(page), "nor for an operation", page.text)
    status = person.send("POST", "/delete_devices", {**body, "auth": {"session": session}})
    tally.check(status.status_code == 200, "which is done", status.text)
    # But the provider alone takes no second factor away.
    factors = person.providers()["m.login.2fa.totp"]["authenticators"]
    path = f"/account/two-factor/totp/{factors[0]['id']}"
    session = person.send("DELETE", path, {}).json()["session"]
    page = browser.get(fallback + session)
    tally.check(WITH not in page.links and "password" in page, "a factor takes both", page.text)
    link = place.start(browser).links[WITH]
    link = re.sub("redirect_url=[^&]*", f"redirect_url={quote(fallback + session, safe='')}", link)
    asked = browser.get(link)
    page = browser.submit(asked, sub=person.name)
    tally.check("Confirmed" not in browser.submit(page), "and no sign-in for it", page.text)
    status = person.send("DELETE", path, {"auth": {"session": session}}).status_code
    tally.check(status == 401, "it stays", status)
    policy(tally, place, asks=False)


def doctor(tally: Tally, tools: Tools) -> None:
    """What an administrator is told."""
    for public, says in [
        (None, "ok       single sign-on leads to Example Corp"),
        ("http://127.0.0.1:1/", "WRONG    single sign-on with Example Corp"),
    ]:
        extra = {"public_baseurl": public} if public else {}
        with Stack(tools, "synapse", sso="first_factor", synapse=extra) as stack:
            environment = {**os.environ, **stack.settings}
            command = [tools.myelin, "doctor"]
            ran = subprocess.run(command, env=environment, capture_output=True, text=True)
            tally.check(says in ran.stdout, f"{public}: {says}", ran.stdout)
            if public:
                browser = Browser()
                page = browser.get(Place(stack).start(browser).links[WITH])
                tally.check(page.status == 503, "and nobody is sent elsewhere", page.text)


def refused(tally: Tally, stack: Stack) -> None:
    browser = Browser()
    page = browser.get(f"{stack.url}{LOGIN}/sso/redirect?redirectUrl={CLIENT}")
    tally.check(page.status == 200 and "Continue with " not in page, "it is not offered", page.text)
    for path in [
        f"/account/sign-on?provider=oidc-corp&redirect_url={CLIENT}",
        f"/account/sign-on/return?loginToken=x&redirect_url={CLIENT}",
        "/_synapse/client/oidc/callback?code=x&state=y",
        "/_matrix/client/r0/login/cas/ticket?ticket=x&redirectUrl=y",
    ]:
        status = browser.get(stack.url + path).status
        tally.check(status == 404, f"nor open: {path}", status)


def main() -> None:
    tools, tally = Tools.parse(__doc__), Tally()
    with Stack(tools, "synapse", sso="first_factor") as stack:
        place = Place(stack)
        whole_life(tally, place)
        attacks(tally, place)
        policy(tally, place)
        shots = "target/screenshots/sso"
        suite = str(Path(__file__).with_name("browser_sso.mjs"))
        command = [tools.node, suite, stack.url, shots]
        ran = subprocess.run(command, env={**os.environ, **stack.settings}, check=False)
        tally.check(ran.returncode == 0, "in a real browser, too", ran.returncode)
    with Stack(tools, "synapse", sso="pass") as stack:
        provider_decides(tally, Place(stack))
    with Stack(tools, "synapse") as stack:
        refused(tally, stack)
    doctor(tally, tools)
    tally.end()


if __name__ == "__main__":
    sys.exit(main())
