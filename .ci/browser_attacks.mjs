// What others try to do to somebody who is signed in, from a site of their own.
//
// The server's own tests try all of it without a browser; here a real one
// decides what comes of it.

import { PASSWORD, Person, check, post, serve, sso, target } from "./pages.mjs";

// Harmless as text. `pwned` is set where it is run in any way.
const EVIL = "\"'><img src=x onerror=pwned=1><script>pwned=1</script>";
const fallback = (session) => `/_matrix/client/v3/auth/m.login.sso/fallback/web?session=${session}`;

export async function attacks(browser) {
  const person = await (await Person.protected("desktop")).sitDown(browser);
  await person.signIn("/account", await person.code());
  const asked = await post("delete_devices", { devices: [EVIL] }, person.token);
  const { session } = asked.body;
  await framing(person, session);
  await forgedForm(person);
  await anothersRequest(person);
  await markup(person, session);
  await person.getUp();
}

// A page in a frame could be covered, and clicked at blindly.
async function framing({ context }, session) {
  const framed = async (address) => {
    const site = await serve({ "/own": ["text/html", "its own"],
      "": ["text/html", `<iframe src="${address}"></iframe>`] });
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${site.port}/`);
    const frames = page.frames().slice(1).map((frame) => frame.url());
    site.close();
    await page.close();
    return frames.join();
  };
  const own = await framed("/own");
  check(own.endsWith("/own"), "a site can frame what lets itself be framed", own);
  for (const path of ["/account", "/account/change?do=add", sso("element://x"), fallback(session)]) {
    const seen = await framed(target + path);
    check(seen.startsWith("chrome-error:"), `${path} is not shown in a frame`, seen);
  }
}

// A form of another site, sent with all that this browser has.
async function forgedForm(person) {
  const { context, page } = person;
  await person.go("/account");
  const before = await person.text();
  const rename = await page.getByRole("link", { name: "Rename" }).getAttribute("href");
  const id = new URL(rename, target).searchParams.get("id");
  const fields = { do: "rename", id, name: "Stolen", with: "recovery", code: person.codes.at(-1) };
  const inputs = Object.entries(fields)
    .map(([name, value]) => `<input name="${name}" value="${value}">`).join("");
  for (const [action, more] of [["/account/change", inputs], ["/account", "<input name=do value=sign-out>"]]) {
    const form = `<form method="post" action="${target}${action}">${more}<button>Win</button></form>`;
    const site = await serve({ "": ["text/html", form] });
    // The same site, and another one: cookies go along to the first.
    for (const host of ["127.0.0.1", "localhost"]) {
      const lure = await context.newPage();
      await lure.goto(`http://${host}:${site.port}/`);
      const [answer] = await Promise.all([
        lure.waitForResponse((response) => response.url() === target + action),
        lure.getByRole("button").click(),
      ]);
      // Closed on its way there, a page may never say that it is closed.
      await lure.waitForURL(target + action);
      check(answer.status() === 403, `a form of ${host} for ${action} is refused`, answer.status());
      await lure.close();
    }
    site.close();
  }
  await person.go("/account");
  check(await person.text() === before, "and nothing has changed", await person.text());
}

// A link to the page that confirms somebody else's request.
async function anothersRequest(person) {
  const victim = await Person.protected(person.view);
  const asked = { devices: [victim.deviceId] };
  const { session } = (await post("delete_devices", asked, victim.token)).body;
  await person.go(fallback(session));
  const seen = await person.text();
  check(seen.includes(victim.userId) && !seen.includes(person.userId),
    "the page names whose request it is, and not who is signed in", seen);
  await person.prove({ password: PASSWORD }, "Confirm");
  check(!(await person.text()).includes("Return to your app"), "nobody confirms for somebody else",
    await person.text());
  for (const [{ token }, refusal] of [[person, 403], [victim, 401]]) {
    const { status } = await post("delete_devices", { ...asked, auth: { session } }, token);
    check(status === refusal, "and the request does not go on", status);
  }
}

// Markup in every parameter and field is text.
async function markup(person, session) {
  const { page, view } = person;
  await page.addInitScript("addEventListener('securitypolicyviolation', () => { window.pwned = 2; })");
  const harmless = async (what) => {
    const made = await person.evaluate(`[window.pwned ?? 0, document.querySelectorAll(
      "main img, script:not([src^='/account/assets/']), [onerror]").length].join()`);
    check(made === "0,0", `${view}: markup in ${what} is text`, made);
  };
  const names = ["do", "id", "with", "session", "redirectUrl", "ui_locales", "user", "error"];
  const all = new URLSearchParams(names.map((name) => [name, EVIL]));
  const but = (name, value) => {
    const query = new URLSearchParams(all);
    query.set(name, value);
    return query;
  };
  for (const path of [
    `/account?${all}`, `/account/change?${all}`, `/account/change?${but("do", "add")}`,
    `/account/change?${but("do", "rename")}`, `/account/sign-in?${all}`,
    `/_matrix/client/v3/login/sso/redirect?${all}`,
    `/_matrix/client/v3/login/sso/redirect/${encodeURIComponent(EVIL)}?${all}`,
    `/_matrix/client/v3/login/sso/redirect?${but("redirectUrl", `element://x/?${EVIL}`)}`,
    `/_matrix/static/client/login/?${all}`,
    ...["m.login.sso", "m.login.2fa.totp", "m.login.2fa.recovery"].flatMap((stage) =>
      [all, but("session", session)].map((query) =>
        `/_matrix/client/v3/auth/${stage}/fallback/web?${query}`)),
  ]) {
    const answer = await person.go(path);
    check(answer.headers()["content-security-policy"]?.startsWith("default-src 'none'"),
      `${path} has its policy`, answer.headers());
    await harmless(path);
  }
  await person.go(fallback(session));
  await person.says("img?src", "a device's name is shown as text");
  await person.go("/account");
  await person.follow("Rename");
  await person.prove({ name: EVIL }, "Rename");
  await person.says(EVIL, "an authenticator's name is shown as text");
  await harmless("an authenticator's name");
  await person.follow("Rename");
  await harmless("the form that renames it");
  await person.send({ code: EVIL.slice(0, 16) }, "Rename");
  await harmless("a code");
  await person.context.clearCookies();
  await person.go(sso("element://x"));
  await person.send({ user: EVIL, password: EVIL }, "Continue");
  await harmless("a user name");
}
