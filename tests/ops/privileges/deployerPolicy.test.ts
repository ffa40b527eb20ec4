import { describe, expect, it } from "vitest";
import { deployedTypes } from "../../../ops/privileges/deployedTypes";
import { deployerPolicy } from "../../../ops/privileges/deployerPolicy";
import { allows } from "../iamPolicy";

const account = "123456789012";
const scope = { partition: "aws", region: "ap-northeast-1", accountId: account, stack: "dev" };
const { Statement } = deployerPolicy(Object.keys(deployedTypes), scope);

/** Whether the deployer of `dev` may do an action. */
const may = (action: string, resource: string, context?: Record<string, string>) =>
  allows(Statement, action, resource, context);
const of = (stack: string) => ({ "aws:ResourceTag/stack": stack });
const requested = (stack: string) => ({ "aws:RequestTag/stack": stack });
const certificate = `arn:aws:acm:us-east-1:${account}:certificate/c`;
const distribution = `arn:aws:cloudfront::${account}:distribution/D`;
const pool = `arn:aws:cognito-idp:ap-northeast-1:${account}:userpool/p`;

describe("The policy of a deployer", () => {
  it("allows composite alarms without naming one, because AWS refuses a narrower permission", () => {
    const statement = Statement.find(({ Action }) => Action.includes("cloudwatch:PutCompositeAlarm"));
    expect(statement).toMatchObject({ Resource: ["*"] });
    expect(statement).not.toHaveProperty("Condition");
  });

  it("allows metric alarms only with the stack's names", () => {
    const alarm = (name: string) => `arn:aws:cloudwatch:ap-northeast-1:${account}:alarm:${name}`;
    expect(may("cloudwatch:PutMetricAlarm", alarm("snack-misaki-dev-api"))).toBe(true);
    expect(may("cloudwatch:PutMetricAlarm", alarm("snack-misaki-prod-api"))).toBe(false);
  });

  it.each([
    ["acm:AddTagsToCertificate", certificate],
    ["cloudfront:TagResource", distribution],
    ["cognito-idp:TagResource", pool],
  ])("allows %s for a new resource, and for other tags of the stack's resources", (action, resource) => {
    expect(may(action, resource, requested("dev"))).toBe(true);
    expect(may(action, resource, of("dev"))).toBe(true);
    expect(may(action, resource, { ...of("dev"), ...requested("prod") })).toBe(false);
    expect(may(action, resource, of("prod"))).toBe(false);
    expect(may(action, resource, { ...of("prod"), ...requested("dev") })).toBe(false);
  });

  it("allows a certificate only with the stack's tag", () => {
    expect(may("acm:RequestCertificate", "*", requested("dev"))).toBe(true);
    expect(may("acm:RequestCertificate", "*")).toBe(false);
  });
});
