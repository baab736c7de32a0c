// The pages in a real Chromium, as a person meets them.
//
// Usage: browser.mjs http://localhost:8008 DIRECTORY-FOR-SCREENSHOTS
//
// Myelin is one that stack.py runs. The whole life of a second factor on a
// phone, on a desktop, and with JavaScript switched off: set up by the QR code
// as it is drawn, sign in, a wrong code, a code that was used, recovery, new
// codes, removal. Then what else can happen to people (browser_sign_in.mjs,
// browser_account.mjs), on a phone and on a desktop, and what others try to do
// to them (browser_attacks.mjs). Every page is looked over by axe-core, light
// and dark, and weighed. Ends with how many claims held.

import { mkdirSync, readFileSync } from "node:fs";
import { PASSWORD, Person, check, run, scan, serve, sso, worksOnce } from "./pages.mjs";
import { account, fallback } from "./browser_account.mjs";
import { attacks } from "./browser_attacks.mjs";
import { deadEnds, forced, german, keyboard, locked, signInToApp } from "./browser_sign_in.mjs";

async function life(browser, view) {
  const person = await (await Person.register(view)).sitDown(browser);
  const { page, context } = person;
  const look = (name) => person.look(name);

  await person.go("/account");
  await look("sign-in");
  const mark = page.locator("header").locator(process.env.MYELIN_PAGES_LOGO ? "img" : "svg");
  const size = await mark.evaluate((it) => it.naturalWidth ?? it.getBoundingClientRect().width);
  check(size > 0, `${view}: the server's picture is at the head of the page`, size);
  await person.send({ user: person.username, password: "wrong" }, "Continue");
  await person.says("not right", "a wrong password is told");
  await look("wrong-password");
  await person.signIn("/account");
  await person.says("Only your password protects this account", "it says that a factor is missing");
  await look("account-unprotected");

  await person.follow("Set up now");
  await look("add");
  await person.send({ name: "Phone", password: PASSWORD }, "Continue");
  await look("set-up");
  person.secret = await scan(page);
  if (view !== "no script") {
    await page.locator("summary").click();
    const text = (await page.locator("#secret").innerText()).replaceAll(/\s/g, "");
    check(text === person.secret, `${view}: the text is what the QR code says`, text);
  }
  await person.send({ code: (await person.code()).replace(/^.../, "$& ") }, "Confirm");
  const codes = await page.locator("#recovery-codes li").allInnerTexts();
  check(codes.length === 10, `${view}: ten recovery codes are shown`, codes);
  await look("recovery-codes");
  await keep(person, codes);
  await page.locator("#saved").check();
  await person.send({}, "Continue");
  await person.says("10 of 10", "the account page counts the codes");
  await look("account");

  await context.clearCookies();
  await person.signIn("/account", "000000");
  await person.says("did not work", "a wrong code is told");
  await person.says("UTC", "and that the clock may be why");
  await look("wrong-code");
  const used = await person.code();
  await person.send({ code: used }, "Sign in");
  await person.says("Your account", "the next code signs in");
  await context.clearCookies();
  await person.signIn("/account", used);
  await person.says("did not work", "a code works once");
  await person.follow("Use a recovery code");
  await look("recovery");
  await person.send({ code: codes[0].toLowerCase() }, "Sign in");
  await person.says("9 of 10", "a recovery code signs in, and is spent");

  await person.follow("Make new recovery codes");
  await look("renew");
  await person.send({ code: await person.code() }, "Make new codes");
  person.codes = await page.locator("#recovery-codes li").allInnerTexts();
  const isNew = person.codes.length === 10 && !person.codes.includes(codes[1]);
  check(isNew, `${view}: the new codes are new`, person.codes);
  await page.locator("#saved").check();
  await person.send({}, "Continue");

  await signInToWebsite(person);

  await context.clearCookies();
  await person.signIn("/account", person.codes.pop(), true);
  await person.follow("Remove");
  await person.follow("Use a recovery code");
  await look("remove");
  await person.send({ code: person.codes.pop() }, "Remove");
  await person.says("Only your password protects this account", "the factor is gone");
  await person.getUp();
}

// What is shown once can be taken along.
async function keep({ page, context, view }, codes) {
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const file = readFileSync(await (await download).path(), "utf8");
  check(codes.every((code) => file.includes(code)), `${view}: the codes are in the file`, file);
  const copy = page.getByRole("button", { name: "Copy" });
  if (view === "no script") {
    check(!await copy.isVisible(), `${view}: no button is there that does nothing`);
    return;
  }
  await page.evaluate("window.print = () => { window.printed = true; }");
  await page.getByRole("button", { name: "Print" }).click();
  check(await page.evaluate("window.printed"), `${view}: the codes can be printed`);
  await page.emulateMedia({ media: "print" });
  const onPaper = await page.locator("main").innerText();
  check(codes.every((code) => onPaper.includes(code)) && !onPaper.includes("Download"),
    `${view}: and on paper are the codes, and no buttons`, onPaper);
  await page.emulateMedia({ media: "screen" });
  // All browsers here share one clipboard.
  if (view !== "desktop") return;
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await copy.click();
  await page.getByText("Copied.").waitFor({ timeout: 5_000 }).catch(() => {});
  const copied = await page.evaluate("navigator.clipboard.readText()");
  check(copied === codes.join("\n"), `${view}: the codes are copied`, copied);
}

// A desktop client's loopback address: asked about, then led to with a token.
async function signInToWebsite(person) {
  const client = await serve({ "": ["text/html", "<h1>client</h1>"] });
  const address = `http://localhost:${client.port}/sso?keep=1&loginToken=evil`;
  await person.context.clearCookies();
  await person.signIn(sso(address), person.codes.pop(), true);
  await person.says("Full address", "it asks before it leads to a place that it does not know");
  await person.look("where-to");
  await person.send({}, "Continue");
  await person.page.waitForURL(/loginToken=/, { timeout: 10_000 }).catch(() => {});
  const landed = new URL(person.page.url());
  const tokens = landed.searchParams.getAll("loginToken");
  check(landed.searchParams.get("keep") === "1" && tokens.length === 1 && tokens[0] !== "evil",
    `${person.view}: the client gets its query and one token`, landed.href);
  await worksOnce(person, tokens[0]);
  client.close();
}

Person.shots = process.argv[3];
mkdirSync(Person.shots, { recursive: true });
const views = ["phone", "desktop"];
const chapters = [signInToApp, locked, forced, account, fallback, german, deadEnds, keyboard];
// People wait for the next code, so all of them are there at once.
await run((browser) => Promise.all([
  ...[...views, "no script"].map((view) => life(browser, view)),
  ...views.map(async (view) => {
    for (const chapter of chapters) await chapter(browser, view);
  }),
  attacks(browser),
]));
