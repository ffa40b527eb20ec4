import * as z from "zod";
import { byModel, models } from "../contract/plan";
import { VipProvider, vipProviderKeys, vipProviders } from "../contract/relay";
import { parseConfig, secureUrl } from "../dynamic/config";
import { geographies, parseInferenceProfile } from "../functions/core/relay/inferenceProfile";
import { browserKeyOf, huggingfaceTokenOf, LOCAL_ACCOUNT_ID } from "../names";
import { RunpodConfig, runpodSecrets } from "../runpod/config";
import { GPU_POOLS } from "../runpod/gpuPools";
import { StripeConfig, stripeKeyForm, stripeSecrets } from "../stripe/config";

/** A tag that names one build. RunPod's hosts cache images by tag, so a reused tag would run old code. */
const imageTag = z.preprocess(
  // `pulumi config set --path phi3.imageTag 20261201` stores a number.
  (tag) => (Number.isSafeInteger(tag) ? String(tag) : tag),
  z
    .string()
    .regex(/^[\w][\w.-]{0,127}$/, "must be a tag: letters, digits, _ . -")
    .refine((tag) => tag !== "latest", "must name one build, not latest"),
);

const gpuId = z.union(
  [z.enum(GPU_POOLS), z.templateLiteral(["-", z.string().min(1)])],
  `must be one of ${GPU_POOLS.join(", ")}, or -<GPU type>`,
);

const imageUri = z
  .string()
  .regex(/^[^\s@]+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$/, "must be host/name:tag or host/name@sha256:…")
  .refine((uri) => !uri.endsWith(":latest"), "must name one build, not latest");

/** The keys of one image. */
const imageKeys = ["imageTag", "pushedTag", "imageUri"] as const;

/** Whether exactly one image is set. */
function hasOneImage(images: { [key in (typeof imageKeys)[number]]?: string | undefined }): boolean {
  return imageKeys.filter((key) => images[key] !== undefined).length === 1;
}

const oneImage = { path: ["imageTag"], message: "exactly one of imageTag, pushedTag and imageUri must be set" };

const CandidateConfig = z
  .strictObject({
    imageTag: imageTag.optional().describe("Tag of the candidate's image, which the program builds and pushes."),
    pushedTag: imageTag
      .optional()
      .describe(
        "Tag of an image that the program has pushed to the stack's ECR before, such as a candidate of last week. The program " +
          "uses it without a build.",
      ),
    imageUri: imageUri.optional().describe("Image that a pipeline has built. Set it instead of imageTag."),
    share: z
      .number()
      .min(0)
      .max(100)
      .default(0)
      .describe("Percent of the customers and guests whose chats the candidate answers. 0: only the testers."),
    testers: z
      .array(text("must be the user id (sub) of a customer", /^[\w:-]{1,48}$/))
      .max(50)
      .default([])
      .describe("User ids (sub) of customers whose chats the candidate always answers."),
    workersMax: z
      .int()
      .min(1)
      .max(60)
      .optional()
      .describe("Maximum number of the candidate's workers at the same time. Default: the model's workersMax."),
  })
  .refine(hasOneImage, oneImage)
  .optional()
  .describe(
    "A retrained model that answers some customers at a second endpoint, before it is released. Without the block, the second " +
      "endpoint is deleted.",
  );

const ModelConfig = z
  .strictObject({
    imageTag: imageTag
      .optional()
      .describe("Tag of the image that the program builds and pushes. A new tag rolls out a retrained model."),
    pushedTag: imageTag
      .optional()
      .describe(
        "Tag of an image that the program has pushed to the stack's ECR before. The program uses it without a build. " +
          "npm run rollback sets it instead of imageTag.",
      ),
    imageUri: imageUri
      .optional()
      .describe("Image that a pipeline has built, host/name:tag or host/name@sha256:…. Set it instead of imageTag."),
    weights: z
      .enum(["baked", "cached"])
      .default("baked")
      .describe(
        "baked: the image contains the weights. cached: RunPod's model cache provides them. A change needs a new imageTag.",
      ),
    gpuIds: z
      .array(gpuId)
      .min(1)
      .optional()
      .describe(
        "RunPod's GPU pools for the workers. -<GPU type> excludes a GPU type from the pools. Default: gpuIds of images/<model>/model.json.",
      ),
    workersMin: z
      .int()
      .min(0)
      .max(60)
      .default(0)
      .describe("Number of workers that always run and always cost money. Must be 0 in a dev stack."),
    workersMax: z.int().min(1).max(60).default(3).describe("Maximum number of workers at the same time."),
    idleTimeoutSeconds: z
      .int()
      .min(1)
      .max(3600)
      .default(60)
      .describe("Seconds a worker waits for the next message before it stops. A person types for 20 to 60 seconds."),
    candidate: CandidateConfig,
  })
  .refine(hasOneImage, oneImage)
  .refine((model) => model.workersMin <= model.workersMax, {
    path: ["workersMin"],
    message: "must not be above workersMax",
  })
  .transform(({ candidate, ...model }) => ({
    ...model,
    // As many workers as the released version has, so that each share has enough of them.
    candidate: candidate && { ...candidate, workersMax: candidate.workersMax ?? model.workersMax },
  }))
  .describe("Image and workers of one model.");

/** A required text that matches `form`. `allowed` is the whole error message. */
function text(allowed: string, form = /./) {
  return z.string(allowed).regex(form, allowed);
}

const delegation = text("must be RunPod's id of the delegation for the model's repository").describe(
  "RunPod's id of the delegation for the model's repository.",
);

const RegistryConfig = z
  .discriminatedUnion(
    "kind",
    [
      z
        .strictObject({ kind: z.literal("ecr") })
        .describe("The private ECR to which the program pushes. A function renews RunPod's token every 6 hours."),
      z
        .strictObject({
          kind: z.literal("token"),
          host: text("must be a host such as ghcr.io, or docker.io for Docker Hub", /^[a-z0-9.-]+(:\d+)?$/).describe(
            "Host of the registry, as in the names of the images.",
          ),
          username: text("must be the registry's user name").describe("User name at the registry."),
          generation: z
            .int()
            .positive()
            .default(1)
            .describe("A higher number creates new credentials instead of changing the token of the present ones."),
        })
        .describe("GHCR, Docker Hub or another registry, with a long-lived token: the secret registryToken."),
      z
        .strictObject({
          kind: z.literal("delegation"),
          ids: z
            .strictObject(byModel(() => delegation))
            .partial()
            .describe("ECR delegation of each model, because a delegation is for one repository."),
        })
        .describe("Private ECR from which RunPod pulls with ECR delegations. The operator registers them with RunPod."),
      z.strictObject({ kind: z.literal("public") }).describe("Images that everybody may pull."),
    ],
    "must have kind ecr, token, delegation or public",
  )
  .describe("How RunPod pulls the images of the workers.");

const FrontendConfig = z
  .strictObject({
    callbackUrls: z.array(secureUrl).min(1).describe("Exact URLs to which the hosted sign-in may return."),
    logoutUrls: z.array(secureUrl).min(1).describe("Exact URLs to which the sign-out may return."),
    origins: z
      .array(secureUrl.refine(isOrigin, "must be an origin, without a path"))
      .min(1)
      .describe("Origins whose pages may call the API."),
  })
  .describe("URLs of the frontend.");

const host = text(
  "must be a lower-case host name with a dot, such as api.example.com",
  /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/,
).optional();

const DomainsConfig = z
  .strictObject({
    zone: text("must be the id of a public hosted zone, Z…", /^Z[A-Z0-9]{1,31}$/).describe(
      "Id of the public hosted zone in Route 53 that contains the names.",
    ),
    api: host.describe("Host name of the auth/billing API. The API then answers 404 at its own execute-api address."),
    signIn: host.describe(
      "Host name of the hosted sign-in. The name above it, such as example.com for auth.example.com, must have an A record.",
    ),
    relay: host.describe("Host name of the relay. CloudFront is then in front of the relay's function URL."),
  })
  .refine(({ api, signIn, relay }) => api !== undefined || signIn !== undefined || relay !== undefined, {
    message: "must have at least one of api, signIn and relay",
  })
  .refine(
    ({ api, signIn, relay }) => {
      const names = [api, signIn, relay].filter((name) => name !== undefined);
      return new Set(names).size === names.length;
    },
    { message: "must name each host once" },
  )
  .optional()
  .describe("Host names of your own. The program creates their certificates and their records in Route 53.");

const sesIdentity = /^arn:aws:ses:[a-z0-9-]+:\d{12}:identity\/([^\s/]+)$/;
/** `Mama <mama@example.com>`, or `mama@example.com`. Captures the address. */
const sender = /^(?:[ -~]+ <([^\s<>@]+@[^\s<>@]+)>|([^\s<>@]+@[^\s<>@]+))$/;

const EmailConfig = z
  .strictObject({
    identityArn: text(
      "must be the ARN of an SES identity, arn:aws:ses:…:identity/<domain or address>",
      sesIdentity,
    ).describe("ARN of the verified identity in Amazon SES."),
    from: text("must be an e-mail address, or an ASCII name and <address>", sender).describe(
      "Sender of the e-mail: an address of the identity, also as Name <address>.",
    ),
  })
  .refine(isOfIdentity, { path: ["from"], message: "must be an address of the identity" })
  .optional()
  .describe(
    "Amazon SES sends the sign-in's e-mail: confirmations of addresses and new passwords. Default: Cognito sends it, at most " +
      "about 50 a day.",
  );

const AuthConfig = z
  .strictObject({
    domainPrefix: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and -")
      .refine((prefix) => !/aws|amazon|cognito/.test(prefix), "must not contain aws, amazon or cognito")
      .describe(
        "Prefix of the hosted sign-in https://<domainPrefix>.auth.<region>.amazoncognito.com. Must be unique in the region.",
      ),
    email: EmailConfig,
    domainUrl: secureUrl.optional().describe("Base URL of the hosted sign-in. Only the local cloud sets it."),
  })
  .describe("The hosted sign-in.");

/** Whether the SES identity may send as `from`. The identity is an address, or a domain with its subdomains. */
function isOfIdentity({ identityArn, from }: { identityArn: string; from: string }): boolean {
  const identity = sesIdentity.exec(identityArn)?.[1]?.toLowerCase() ?? "";
  const [, named, plain] = sender.exec(from) ?? [];
  const address = (named ?? plain ?? "").toLowerCase();
  if (identity.includes("@")) return address === identity;
  const domain = address.split("@")[1] ?? "";
  return domain === identity || domain.endsWith(`.${identity}`);
}

const TicketKeysConfig = z
  .strictObject({
    signing: z.int().positive().describe("Number of the key that signs tickets."),
    accepted: z
      .array(z.int().positive())
      .min(1)
      .max(3)
      .describe("Numbers of the keys that the workers accept. Two during a rotation."),
  })
  .refine(({ signing, accepted }) => accepted.includes(signing), {
    path: ["accepted"],
    message: "must include the signing key",
  })
  .default({ signing: 1, accepted: [1] })
  .describe("Keys that sign tickets.");

const limits = (ratePerSecond: number, burst: number) => ({
  ratePerSecond: z.number().positive().default(ratePerSecond).describe("Maximum requests per second to one route."),
  burst: z.int().positive().default(burst).describe("Maximum burst of requests to one route."),
});

const ThrottleConfig = z
  .strictObject({
    ...limits(50, 100),
    guest: z
      .strictObject(limits(10, 20))
      .prefault({})
      .describe("Limits of POST /auth/guest, which everybody may call."),
    webhook: z
      .strictObject(limits(20, 40))
      .prefault({})
      .describe("Limits of POST /webhook/stripe, which everybody may call. Stripe sends a refused event again."),
  })
  .prefault({})
  .describe("Limits of each route of the API, over all callers.");

const GuestConfig = z
  .strictObject({
    sessionsPerHour: z
      .int()
      .positive()
      .describe(
        "New guests per hour of one address (IPv4 address or IPv6 /64). A guest who renews the session does not count again.",
      ),
  })
  .default({ sessionsPerHour: 30 })
  .describe("Limits of guests.");

const usageLimits = (chatsPerMinute: number, tokensPerDay: number) =>
  z
    .strictObject({
      chatsPerMinute: z
        .int()
        .positive()
        .default(chatsPerMinute)
        .describe("Chats that a customer may start per minute."),
      tokensPerDay: z
        .int()
        .positive()
        .default(tokensPerDay)
        .describe("Tokens of prompts and replies that a customer may use per day (UTC)."),
    })
    .prefault({});

const concurrency = "must be a whole number of at least 1, or -1 to reserve nothing";
const RelayConfig = z
  .strictObject({
    concurrency: z
      .int(concurrency)
      .refine((count) => count === -1 || count > 0, concurrency)
      .default(50)
      .describe(
        "Chats at the same time. Lambda reserves this concurrency, so that chats cannot starve the API. The account's limit " +
          "must be at least 100 higher; new accounts have less. -1 reserves nothing.",
      ),
    limits: z
      .strictObject({
        free: usageLimits(10, 100_000).describe("Limits of the free plan. Guests share the limits of one IP address."),
        paid: usageLimits(20, 500_000).describe("Limits of the paid plan."),
        vip: usageLimits(20, 500_000).describe("Limits of the vip plan."),
      })
      .prefault({})
      .describe("Limits of one customer's use, by plan."),
  })
  .prefault({})
  .describe("The relay, which streams the chats of every plan.");

const dollars = z.number().min(0);
const pricesRequired =
  "must be { input, cachedInput, output }, because vip.dailyUsd counts the costs of every provider";
const Prices = z
  .strictObject(
    {
      input: dollars.describe("US dollars per million prompt tokens."),
      cachedInput: dollars.describe("US dollars per million prompt tokens that the provider has cached."),
      output: dollars.describe("US dollars per million tokens of the reply."),
    },
    { error: (issue) => (issue.code === "invalid_type" ? pricesRequired : undefined) },
  )
  .describe("Prices of the model.");

/** Settings that every external LLM has. */
const externalLlm = {
  model: text("must be the model's name at the provider").describe("The model's name at the provider."),
  effort: text("must be an effort's name at the provider, such as low", /^[a-z]+$/)
    .optional()
    .describe("Reasoning effort. Default: the provider's default."),
  baseUrl: secureUrl
    .optional()
    .describe("Base URL of the provider's API. Default: the provider's URL. For openai, any server with OpenAI's API."),
  usdPerMillionTokens: Prices,
};

const notAProfile = `must start with ${geographies.map((each) => `${each}.`).join(" ")}: name an inference profile, not a foundation model`;
const BedrockConfig = z.strictObject({
  ...externalLlm,
  model: text(notAProfile)
    .refine((model) => parseInferenceProfile(model) !== undefined, notAProfile)
    .describe("Id or ARN of an inference profile: aws bedrock list-inference-profiles."),
  region: text("must be an AWS Region", /^[a-z]{2}(-[a-z]+)+-\d$/)
    .optional()
    .describe("AWS Region of the requests. Default: the stack's Region."),
});

/** One optional block per external LLM. */
const externalLlms = Object.fromEntries(
  vipProviders.map((name) => {
    const settings = z.strictObject(externalLlm).optional();
    return [name, settings.describe(`Settings of ${name}, with the secret ${vipProviderKeys[name]}.`)];
  }),
) as Record<VipProvider, z.ZodOptional<z.ZodObject<typeof externalLlm, z.core.$strict>>>;

const VipConfig = z
  .strictObject({
    providers: z
      .array(VipProvider)
      .refine((names) => new Set(names).size === names.length, "must name each provider once")
      .default([])
      .describe(
        "External LLMs that answer the vip plan, in the order of preference: anthropic, openai, bedrock, huggingface. The next " +
          "one answers when one fails. Empty: the model of the plan answers.",
      ),
    ...externalLlms,
    bedrock: BedrockConfig.optional().describe("AWS Bedrock, with the function's role instead of a key."),
    dailyUsd: z
      .number()
      .positive()
      .default(20)
      .describe("US dollars per day (UTC) for external LLMs. Above it, the paid model answers the vip plan."),
  })
  .prefault({})
  .describe("External LLMs of the vip plan.");

const prices = z
  .array(z.string().startsWith("price_", "must be the id of a price, price_…"))
  .default([])
  .describe("Price ids, price_….");

const BillingConfig = z
  .strictObject({
    prices: z
      .strictObject({ paid: prices, vip: prices })
      .default({ paid: [], vip: [] })
      .describe(
        "Stripe's ids of the recurring prices of each plan. The program sells the first price. Subscriptions with another " +
          "listed price keep their plan. A plan without prices is not for sale.",
      ),
    returnUrls: z
      .array(secureUrl)
      .min(1)
      .optional()
      .describe(
        "URLs to which Checkout and the customer portal redirect: the URL with the caller's origin, otherwise the first URL. " +
          "Default: frontend.origins. The URL gets ?checkout=success, ?checkout=cancelled or ?portal=return.",
      ),
    graceDays: z
      .int()
      .min(0)
      .max(30)
      .default(7)
      .describe("Days for which a customer keeps the plan after an unpaid renewal."),
    portalConfiguration: z
      .string()
      .startsWith("bpc_", "must be the id of a portal configuration, bpc_…")
      .optional()
      .describe("Id of the customer portal's configuration, bpc_…. Default: the configuration in Stripe's dashboard."),
    webhookSecretGeneration: z
      .int()
      .positive()
      .default(1)
      .describe("A higher number replaces the webhook endpoint and its secret without losing an event."),
  })
  .prefault({})
  .describe("Sale of plans. Without stripeApiKey nothing is for sale, and only operators grant plans.");

/** Largest number of chats per day for which costs are estimated. */
export const MAX_CHATS_PER_DAY = 1_000_000_000;

const OperationsConfig = z
  .strictObject({
    emails: z
      .array(z.email("must be an e-mail address"))
      .refine((emails) => new Set(emails).size === emails.length, "must name each address once")
      .default([])
      .describe("Addresses that get every alarm. AWS sends each a link with which its owner confirms."),
    metrics: z
      .enum(["all", "few"])
      .default("all")
      .describe(
        "all: every metric of the stack, at most 60 without a candidate. few: without the details of the endpoints, for a dev stack. CloudWatch " +
          "bills each metric.",
      ),
    hourlyUsd: z
      .number()
      .positive()
      .default(5)
      .describe("US dollars per hour for the workers of one model. Above it, an alarm fires."),
    expectedChatsPerDay: z
      .number()
      .min(0)
      .max(MAX_CHATS_PER_DAY)
      .default(100)
      .describe("Chats per day for which npm run cost estimates the costs. A chat is one message and its reply."),
  })
  .prefault({})
  .describe("Metrics and alarms.");

/** Every key of the stack's configuration that is not a secret. The reference page shows the descriptions. */
export const ConfigSchema = z.object({
  frontend: FrontendConfig,
  auth: AuthConfig,
  domains: DomainsConfig,
  deletionProtection: z
    .boolean()
    .default(true)
    .describe(
      "Whether Pulumi and AWS refuse to delete the user pool and the users table. With true, pulumi destroy deletes nothing.",
    ),
  ticketKeys: TicketKeysConfig,
  throttle: ThrottleConfig,
  guest: GuestConfig,
  relay: RelayConfig,
  vip: VipConfig,
  registry: RegistryConfig.prefault({ kind: "ecr" }),
  ...RunpodConfig.shape,
  billing: BillingConfig,
  operations: OperationsConfig,
  permissionsBoundary: z
    .string()
    .regex(/^arn:aws[\w-]*:iam::\d{12}:policy\/\S+$/, "must be the ARN of an IAM policy")
    .optional()
    .describe(
      "Permissions boundary of every IAM role: the output permissionsBoundaries.<stack> of ops/github. Default: none.",
    ),
  ...StripeConfig.shape,
  ...byModel(() => ModelConfig),
});

/** Every key of the stack's configuration whose value is a secret, with the key's meaning. */
export const secretKeys: Record<string, string> = {
  ...runpodSecrets,
  registryToken: "Token with which RunPod pulls the images, for registry.kind token.",
  ...Object.fromEntries(
    models.map((model) => [
      browserKeyOf(model),
      `Optional. RunPod key for browsers, restricted to the endpoint of ${model}. With it, browsers call the endpoint ` +
        "directly instead of the relay. Such a key opens the endpoint's whole job API: any guest can empty the queue, and " +
        "see or cancel the jobs of others.",
    ]),
  ),
  ...Object.fromEntries(
    models.map((model) => [
      huggingfaceTokenOf(model),
      `Optional. Hugging Face token for private or gated weights of ${model}. The build of an image uses it as the build ` +
        "secret HF_TOKEN. The workers get it as HF_TOKEN: RunPod stores it as a secret of the account, and the template " +
        "contains only the secret's name.",
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(vipProviderKeys).flatMap(([name, key]) =>
      key ? [[key, `API key for ${name} in vip.providers.`]] : [],
    ),
  ),
  stripeApiKey:
    "Restricted Stripe key of the functions: write customers, Checkout Sessions, portal sessions and subscriptions; read " +
    "invoices, charges, disputes, events and portal configurations. `npm run doctor` also reads prices and products.",
  ...stripeSecrets,
  alarmWebhookUrl:
    "Optional. https URL that gets the alarms that page, as Amazon SNS sends them. It may contain the pager's own key.",
  stripeWebhookSecret: "Signing secret (whsec_…) of a webhook endpoint that the operator registered by hand.",
};

/** Form of a secret. */
interface SecretForm {
  form: RegExp;
  /** The end of a sentence that begins with "must be". */
  allowed: string;
  /** Value of this form that opens nothing. */
  example: string;
}

/** Form of every secret without an entry in `secretForms`. */
export const anySecret: SecretForm = { form: /^\S+$/, allowed: "a text without spaces", example: "placeholder" };

/** Forms of secrets that have a known prefix. */
export const secretForms: Record<string, SecretForm> = {
  stripeApiKey: stripeKeyForm,
  stripeWebhookKey: stripeKeyForm,
  alarmWebhookUrl: {
    form: /^(https:\/\/|http:\/\/localhost[:/])\S+$/,
    allowed: "an https URL; http is allowed only on localhost",
    example: "https://pager.example/",
  },
  stripeWebhookSecret: {
    form: /^whsec_\S+$/,
    allowed: "a signing secret of Stripe, whsec_…",
    example: "whsec_placeholder",
  },
};

/** A value of the right form for a secret whose real value is not needed. It opens nothing. */
export function placeholderOf(key: string): string {
  return (secretForms[key] ?? anySecret).example;
}

/** The stack's configuration without its secrets, parsed. */
export type PlainConfig = z.infer<typeof ConfigSchema>;

/**
 * Parses the stack's configuration without its secrets.
 *
 * @param get returns a key's value as the text that Pulumi stores
 * @returns the configuration, or one line per bad value: the key, the allowed values and the value itself
 */
export function parsePlainConfig(get: (key: string) => string | undefined) {
  return parseConfig(ConfigSchema, get);
}

const AwsConfig = z.object({
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/)
    .optional()
    .catch(undefined),
  allowedAccountIds: z.array(z.string()).optional().catch(undefined),
  defaultTags: z
    .object({ tags: z.record(z.string(), z.string()) })
    .optional()
    .catch(undefined),
});

/**
 * Parses the keys of Pulumi's AWS provider that the program depends on. A bad value counts as missing.
 *
 * @param get returns the value of a key without `aws:`
 * @returns the region, the default tags, and whether the stack can only be in the local cloud
 */
export function parseAwsConfig(get: (key: string) => string | undefined): {
  region: string | undefined;
  tags: Record<string, string>;
  isLocal: boolean;
} {
  const { region, allowedAccountIds = [], defaultTags } = parseConfig(AwsConfig, get).config ?? {};
  const isLocal = allowedAccountIds.length > 0 && allowedAccountIds.every((id) => id === LOCAL_ACCOUNT_ID);
  return { region, tags: defaultTags?.tags ?? {}, isLocal };
}

function isOrigin(text: string): boolean {
  return !URL.canParse(text) || new URL(text).origin === text;
}
