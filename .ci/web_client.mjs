// A Matrix client in a page: matrix-js-sdk, unmodified, and nothing of Myelin.
//
// It does what Element Web does: signs in by the server's page, and confirms
// what needs it by the fallback page in a popup, by the SDK's InteractiveAuth.
// sso_clients.mjs bundles it, serves it, and presses the buttons.

import { createClient, InteractiveAuth } from "matrix-js-sdk";

const parameters = new URLSearchParams(location.search);
const baseUrl = parameters.get("homeserver");
const show = (id, text) => { document.getElementById(id).textContent = text; };
const press = (id, handler) => document.getElementById(id).addEventListener("click", () =>
  handler().catch((error) => show("trouble", `${id}: ${error} ${JSON.stringify(error.data)}`)));
let client = createClient({ baseUrl });

press("sign-in", async () => {
  location.assign(client.getSsoLoginUrl(location.href, "sso"));
});

const token = parameters.get("loginToken");
if (token) {
  const login = await client.loginRequest({ type: "m.login.token", token });
  const { access_token: accessToken, user_id: userId, device_id: deviceId } = login;
  client = createClient({ baseUrl, accessToken, userId, deviceId });
  show("user", userId);
  show("device", deviceId);
}

// Runs a request through InteractiveAuth, which is to pass `m.login.sso`.
async function confirmed(request) {
  const stages = [];
  const auth = new InteractiveAuth({
    matrixClient: client,
    supportedStages: ["m.login.sso"],
    doRequest: (dict) => request(dict ?? undefined),
    requestEmailToken: async () => ({ sid: "" }),
    stateUpdated: (stage) => {
      stages.push(stage);
      document.getElementById("confirm").hidden = false;
    },
  });
  const confirm = document.getElementById("confirm");
  // A popup opens only where somebody has pressed a button.
  confirm.onclick = () => open(client.getFallbackAuthUrl("m.login.sso", auth.getSessionId()));
  const heard = ({ data, origin }) => {
    if (data === "authDone" && origin === new URL(baseUrl).origin) auth.submitAuthDict({});
  };
  addEventListener("message", heard);
  try {
    await auth.attemptAuth();
  } finally {
    removeEventListener("message", heard);
    confirm.hidden = true;
  }
  return stages;
}

press("delete", async () => {
  const devices = document.getElementById("devices").value.split(" ");
  const stages = await confirmed((auth) => client.deleteMultipleDevices(devices, auth));
  show("deleted", stages.join(" "));
});

press("keys", async () => {
  const keys = await crossSigningKeys(client.getUserId());
  const stages = await confirmed((auth) => client.uploadDeviceSigningKeys(auth, keys));
  const [, master] = Object.entries(keys.master_key.keys)[0];
  show("uploaded", [...stages, master].join(" "));
});

// Reads answers of the homeserver as any page does, without the SDK.
press("read", async () => {
  const seen = [];
  for (const path of document.getElementById("paths").value.split(" ")) {
    const headers = { authorization: `Bearer ${client.getAccessToken()}` };
    // A browser says no more than that it does not let the page read.
    const answer = await fetch(baseUrl + path, { headers }).catch(() => ({ status: "unreadable" }));
    seen.push(`${answer.status}: ${(await answer.text?.() ?? "").slice(0, 20)}`);
  }
  show("answers", seen.join("\n"));
});

const base64 = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/=+$/, "");

// New keys, the two others signed by the master key as the specification says.
async function crossSigningKeys(user) {
  const pair = () => crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
  const master = await pair();
  const describe = async ({ publicKey }, usage) => {
    const name = base64(await crypto.subtle.exportKey("raw", publicKey));
    // In the order of canonical JSON.
    return { keys: { [`ed25519:${name}`]: name }, usage: [usage], user_id: user };
  };
  const masterKey = await describe(master, "master");
  const [id] = Object.keys(masterKey.keys);
  const signed = async (usage) => {
    const key = await describe(await pair(), usage);
    const bytes = new TextEncoder().encode(JSON.stringify(key));
    const signature = base64(await crypto.subtle.sign("Ed25519", master.privateKey, bytes));
    return { ...key, signatures: { [user]: { [id]: signature } } };
  };
  return {
    master_key: masterKey,
    self_signing_key: await signed("self_signing"),
    user_signing_key: await signed("user_signing"),
  };
}

document.documentElement.dataset.ready = "yes";
