// matrix-js-sdk, unmodified: both stages of a second factor by its InteractiveAuth.
//
// Usage: node clients.mjs URL USER PASSWORD CODE RECOVERY_CODE DEVICE_TO_DELETE
// Prints one line per claim: `ok …` or `not ok …`.
import { createClient, InteractiveAuth } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

logger.setLevel?.("silent");
const [url, user, password, code, recovery, device] = process.argv.slice(2);
const identifier = { type: "m.id.user", user };
const claim = (holds, what, seen = "") =>
  console.log(`${holds ? "ok" : "not ok"} ${what}${holds ? "" : ` ${JSON.stringify(seen)}`}`);

/** Runs the SDK's InteractiveAuth; `tokens` are tried one after the other at `stage`. */
async function authenticate(client, stage, tokens, request) {
  const asked = [];
  const errors = [];
  const auth = new InteractiveAuth({
    matrixClient: client,
    supportedStages: ["m.login.password", stage],
    doRequest: request,
    stateUpdated: (next, status) => {
      asked.push(next);
      if (status?.error) errors.push(status.errcode);
      // Not within the SDK's own call.
      setTimeout(() => {
        if (next === "m.login.password") auth.submitAuthDict({ type: next, identifier, password });
        else if (tokens.length > 0) auth.submitAuthDict({ type: next, token: tokens.shift() });
      }, 0);
    },
    requestEmailToken: async () => ({ sid: "" }),
  });
  return { result: await auth.attemptAuth(), asked, errors };
}

/** Logs in by InteractiveAuth, as a client does that knows the stages. */
async function login(stage, tokens) {
  const client = createClient({ baseUrl: url });
  const request = (auth) =>
    client.http.request("POST", "/login", undefined, {
      type: "m.login.password", identifier, password, ...(auth ? { auth } : {}),
    }, { prefix: "/_matrix/client/v3" });
  return authenticate(client, stage, tokens, request);
}

try {
  const wrong = code === "000000" ? "000001" : "000000";
  const totp = await login("m.login.2fa.totp", [wrong, code]);
  claim(totp.result.access_token, "js-sdk logs in: the password, a wrong code, the right one", totp);
  claim(totp.errors.includes("M_FORBIDDEN"), "js-sdk is told that the code was wrong", totp);
  const other = await login("m.login.2fa.recovery", [recovery]);
  claim(other.result.access_token, "js-sdk logs in by the other flow, with a recovery code", other);

  const { access_token: accessToken, user_id: userId, device_id: deviceId } = totp.result;
  const client = createClient({ baseUrl: url, accessToken, userId, deviceId });
  const sync = await client.http.authedRequest("GET", "/sync", { timeout: "0" }, undefined, { prefix: "/_matrix/client/v3" });
  claim(sync.next_batch, "js-sdk syncs", sync);
  const next = process.argv[8];
  const gone = await authenticate(client, "m.login.2fa.recovery", [next], (auth) =>
    client.deleteDevice(device, auth ?? undefined));
  claim(Object.keys(gone.result).length === 0, "js-sdk deletes a device in two stages", gone);
  await client.logout(true);
  claim(true, "js-sdk logs out");
} catch (error) {
  claim(false, "js-sdk", { message: String(error), data: error?.data, stack: error?.stack });
}
process.exit(0);
