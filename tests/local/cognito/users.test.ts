import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CognitoIdentityProviderClient,
  ConfirmForgotPasswordCommand,
  ConfirmSignUpCommand,
  ForgotPasswordCommand,
  ListUsersCommand,
  ResendConfirmationCodeCommand,
  SignUpCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { AwsAccount } from "../../../local/aws/support/account";
import { type CognitoDouble, type Email, startCognito } from "../../../local/cognito/cognito";
import { Events } from "../../../local/support/events";

const POOL = "ap-northeast-1_Local12AB";
const ClientId = "3n4b5urk1ft4fl3mg5e62d9ado";
const Username = "mori@example.com";
const Password = "misaki-mama-1";
const HOUR_MS = 3_600_000;
const seeded = { email: "free@example.com", password: Password, label: "free" };

let dir: string;
let account: AwsAccount;
let cognito: CognitoDouble;
let emails: Email[];
let sdk: CognitoIdentityProviderClient;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "snack-misaki-users-"));
  account = new AwsAccount(join(dir, "account.db"), "ap-northeast-1");
  putPool({ passwordPolicy: { minimumLength: 12, requireLowercase: true, requireNumbers: true } });
  putClient({ preventUserExistenceErrors: "ENABLED" });
  emails = [];
  await start();
});
afterEach(async () => {
  vi.useRealTimers();
  await cognito.close();
  account.close();
  rmSync(dir, { recursive: true });
});

function putPool(properties: Record<string, unknown>): void {
  const outputs = { usernameAttributes: ["email"], usernameConfiguration: { caseSensitive: false }, ...properties };
  account.put({ type: "aws:cognito/userPool:UserPool", id: POOL, inputs: {}, outputs });
}

function putClient(properties: Record<string, unknown>): void {
  const outputs = { userPoolId: POOL, ...properties };
  account.put({ type: "aws:cognito/userPoolClient:UserPoolClient", id: ClientId, inputs: {}, outputs });
}

async function start(): Promise<void> {
  cognito = await startCognito({
    account,
    dir: join(dir, "cognito"),
    ports: { domain: 0, idp: 0 },
    customers: [seeded],
    events: new Events(),
    deliver: (email) => emails.push(email),
  });
  sdk = new CognitoIdentityProviderClient({
    endpoint: cognito.idpUrl,
    region: "ap-northeast-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    maxAttempts: 1,
  });
}

/** Moves the clock of this process. The double uses the same clock. */
function skip(ms: number): void {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
}

const signUp = (password = Password, username = Username) =>
  sdk.send(new SignUpCommand({ ClientId, Username: username, Password: password }));
const confirm = (code: string, username = Username) =>
  sdk.send(new ConfirmSignUpCommand({ ClientId, Username: username, ConfirmationCode: code }));
const resend = (username = Username) => sdk.send(new ResendConfirmationCodeCommand({ ClientId, Username: username }));
const forgot = (username = Username) => sdk.send(new ForgotPasswordCommand({ ClientId, Username: username }));
const reset = (code: string, password: string, username = Username) =>
  sdk.send(
    new ConfirmForgotPasswordCommand({ ClientId, Username: username, ConfirmationCode: code, Password: password }),
  );
const lastCode = () => emails.at(-1)?.code ?? "";
const wrongCode = () => (lastCode() === "000000" ? "000001" : "000000");
const statusOf = async (username = Username) => {
  const { Users } = await sdk.send(new ListUsersCommand({ UserPoolId: POOL, Filter: `email = "${username}"` }));
  return Users?.[0]?.UserStatus;
};

describe("Sign-up by the API of Cognito", () => {
  it("creates an unconfirmed user, and confirms the user with the code from the e-mail", async () => {
    const { UserSub, UserConfirmed, CodeDeliveryDetails } = await signUp();
    expect(UserSub).toMatch(/^[0-9a-f-]{36}$/);
    expect(UserConfirmed).toBe(false);
    expect(CodeDeliveryDetails).toEqual({
      Destination: "m***@e***",
      DeliveryMedium: "EMAIL",
      AttributeName: "email",
    });
    expect(emails).toEqual([{ to: Username, purpose: "confirmSignUp", code: expect.stringMatching(/^\d{6}$/) }]);
    expect(await statusOf()).toBe("UNCONFIRMED");
    await confirm(lastCode());
    expect(await statusOf()).toBe("CONFIRMED");
  });

  it.each([
    ["a short password", "short-1", "Password did not conform with policy: Password not long enough"],
    [
      "no lower case letter",
      "MISAKI-MAMA-1",
      "Password did not conform with policy: Password must have lowercase characters",
    ],
    ["no number", "misaki-mama-misaki", "Password did not conform with policy: Password must have numeric characters"],
  ])("rejects a password that the pool's policy forbids: %s", async (_, password, message) => {
    await expect(signUp(password)).rejects.toMatchObject({ name: "InvalidPasswordException", message });
    expect(emails).toEqual([]);
  });

  it("requires every kind of character in a pool without a password policy", async () => {
    putPool({});
    await expect(signUp("misakimama1")).rejects.toThrow("Password must have uppercase characters");
    await expect(signUp("Misakimama1")).rejects.toThrow("Password must have symbol characters");
    await signUp("Misaki-mama1");
  });

  it("rejects an existing e-mail address in upper or lower case, and a text that is not an address", async () => {
    await expect(signUp(Password, "Free@Example.com")).rejects.toMatchObject({ name: "UsernameExistsException" });
    await expect(signUp(Password, "mori")).rejects.toMatchObject({
      name: "InvalidParameterException",
      message: "Username should be an email.",
    });
  });

  it("rejects every sign-up when only an administrator may create users", async () => {
    putPool({ adminCreateUserConfig: { allowAdminCreateUserOnly: true } });
    await expect(signUp()).rejects.toMatchObject({
      name: "NotAuthorizedException",
      message: "SignUp is not permitted for this user pool",
    });
  });

  it("rejects an unknown app client, and a missing secret hash when the client has a secret", async () => {
    const unknown = new SignUpCommand({ ClientId: "unknown", Username, Password });
    await expect(sdk.send(unknown)).rejects.toMatchObject({ name: "ResourceNotFoundException" });
    putClient({ clientSecret: "s3cret" });
    await expect(signUp()).rejects.toMatchObject({ name: "NotAuthorizedException" });
    const SecretHash = createHmac("sha256", "s3cret").update(`${Username}${ClientId}`).digest("base64");
    await sdk.send(new SignUpCommand({ ClientId, Username, Password, SecretHash }));
  });
});

describe("A confirmation code", () => {
  it("is rejected when it is wrong, and after five wrong attempts even when it is right", async () => {
    await signUp();
    for (let attempt = 0; attempt < 5; attempt++)
      await expect(confirm(wrongCode())).rejects.toMatchObject({ name: "CodeMismatchException" });
    await expect(confirm(lastCode())).rejects.toMatchObject({ name: "LimitExceededException" });
    await resend();
    await confirm(lastCode());
  });

  it("expires after 24 hours", async () => {
    await signUp();
    skip(24 * HOUR_MS + 1);
    await expect(confirm(lastCode())).rejects.toMatchObject({ name: "ExpiredCodeException" });
  });

  it("is replaced when the user asks for a new code", async () => {
    await signUp();
    const first = lastCode();
    await resend();
    if (first !== lastCode()) await expect(confirm(first)).rejects.toMatchObject({ name: "CodeMismatchException" });
    await confirm(lastCode());
    await expect(resend()).rejects.toMatchObject({ message: "User is already confirmed." });
    await expect(confirm(lastCode())).rejects.toMatchObject({ name: "NotAuthorizedException" });
  });

  it("cannot set a password, and a password reset code cannot confirm a user", async () => {
    await signUp();
    await expect(reset(lastCode(), "another-mama-2")).rejects.toMatchObject({ name: "ExpiredCodeException" });
    await expect(forgot()).rejects.toMatchObject({ name: "InvalidParameterException" });
  });
});

describe("Password reset by the API of Cognito", () => {
  it("sets a new password for a seeded customer with a code that is valid only once", async () => {
    await forgot(seeded.email);
    expect(emails).toMatchObject([{ to: seeded.email, purpose: "resetPassword" }]);
    await expect(reset(lastCode(), "weak", seeded.email)).rejects.toMatchObject({ name: "InvalidPasswordException" });
    await reset(lastCode(), "another-mama-2", seeded.email);
    await expect(reset(lastCode(), "third-mama-33", seeded.email)).rejects.toMatchObject({
      name: "ExpiredCodeException",
    });
  });

  it("rejects a wrong code, and a code that is older than one hour", async () => {
    await forgot(seeded.email);
    await expect(reset(wrongCode(), "another-mama-2", seeded.email)).rejects.toMatchObject({
      name: "CodeMismatchException",
    });
    skip(HOUR_MS + 1);
    await expect(reset(lastCode(), "another-mama-2", seeded.email)).rejects.toMatchObject({
      name: "ExpiredCodeException",
    });
  });
});

describe("A user who does not exist", () => {
  it("is not revealed to a client that prevents user existence errors", async () => {
    expect((await forgot()).CodeDeliveryDetails?.Destination).toBe("m***@e***");
    expect((await resend()).CodeDeliveryDetails?.Destination).toBe("m***@e***");
    await expect(confirm("123456")).rejects.toMatchObject({ name: "ExpiredCodeException" });
    await expect(reset("123456", Password)).rejects.toMatchObject({ name: "CodeMismatchException" });
    expect(emails).toEqual([]);
  });

  it("causes UserNotFoundException for a client that does not prevent user existence errors", async () => {
    putClient({});
    const calls = [forgot, resend, () => confirm("123456"), () => reset("123456", Password)];
    for (const call of calls) await expect(call()).rejects.toMatchObject({ name: "UserNotFoundException" });
  });
});

describe("The file of users", () => {
  it("keeps users and pending codes after a restart, and no password in plain text", async () => {
    await signUp();
    await cognito.close();
    expect(readFileSync(join(dir, "cognito/users.db"), "utf8")).not.toContain(Password);
    await start();
    await confirm(lastCode());
    expect(await statusOf()).toBe("CONFIRMED");
  });
});
