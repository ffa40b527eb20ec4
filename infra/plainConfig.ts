import * as z from "zod";
import { GPU_POOLS } from "../runpod/gpuPools";

const url = z.string().refine(isSafeUrl, "must be an https URL; http only on localhost");
/** A tag that names one build for ever: RunPod's hosts cache images, so a moving tag would run old code. */
const imageTag = z.preprocess(
  // `pulumi config set --path phi3.imageTag 20261201` keeps a number.
  (tag) => (Number.isSafeInteger(tag) ? String(tag) : tag),
  z
    .string()
    .regex(/^[\w][\w.-]{0,127}$/, "must be a tag: letters, digits, _ . -")
    .refine((tag) => tag !== "latest", "must name one build, not latest"),
);

const prices = z.array(z.string().startsWith("price_", "must be the id of a price, price_…")).default([]);

const ModelConfig = z
  .strictObject({
    /** Tag of the image this program builds and pushes. Bump it to roll out a retrained model. */
    imageTag: imageTag.optional(),
    /** A ready image instead, `host/name:tag` or `host/name@sha256:…`, for a pipeline that builds images itself. */
    imageUri: z
      .string()
      .regex(/^[^\s@]+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$/, "must be host/name:tag or host/name@sha256:…")
      .refine((uri) => !uri.endsWith(":latest"), "must name one build, not latest")
      .optional(),
    /** Where the workers' weights are: baked into the image, or in RunPod's model cache, which the endpoint then names. */
    weights: z.enum(["baked", "cached"]).default("baked"),
    /** GPU pools, and GPU types to leave out of them, such as `-NVIDIA L4`; default: what the model's own `images/<model>/model.ts` names. */
    gpuIds: z
      .array(
        z.union(
          [z.enum(GPU_POOLS), z.templateLiteral(["-", z.string().min(1)])],
          `must be of ${GPU_POOLS.join(", ")}, or -<GPU type>`,
        ),
      )
      .min(1)
      .optional(),
    /** Workers kept running, and paid for, without a request. */
    workersMin: z.int().min(0).max(60).default(0),
    /** Most workers at once. */
    workersMax: z.int().min(1).max(60).default(3),
    /** Seconds a worker waits for the next message before it is stopped. A person types for 20 to 60 seconds. */
    idleTimeoutSeconds: z.int().min(1).max(3600).default(60),
  })
  .refine((model) => (model.imageTag === undefined) !== (model.imageUri === undefined), {
    path: ["imageTag"],
    message: "must be given, or imageUri, not both",
  })
  .refine((model) => model.workersMin <= model.workersMax, {
    path: ["workersMin"],
    message: "must not be above workersMax",
  });

/** A text that is there, and of that form; `allowed` is the whole message. */
function text(allowed: string, form = /./) {
  return z.string(allowed).regex(form, allowed);
}

const delegation = text("must be RunPod's id of the delegation for the model's repository");

/** How RunPod gets at the workers' images. */
const RegistryConfig = z.discriminatedUnion(
  "kind",
  [
    /** Private Amazon ECR, by tokens that a function renews every six hours. */
    z.strictObject({ kind: z.literal("ecr") }),
    /** GHCR, Docker Hub or the like, by a token that lives long: the secret `registryToken`. */
    z.strictObject({
      kind: z.literal("token"),
      /** The registry, as it stands in the images' names. */
      host: text("must be a host such as ghcr.io, or docker.io for Docker Hub", /^[a-z0-9.-]+(:\d+)?$/),
      username: text("must be the registry's user name"),
      /** A higher number makes new credentials: how a token is replaced with `runpodApi: rest`, which cannot change one. */
      generation: z.int().positive().default(1),
    }),
    /** Private Amazon ECR that RunPod was given access to by delegations, made in its console or API. */
    z.strictObject({
      kind: z.literal("delegation"),
      /** RunPod's id of each model's: a delegation is for one repository. */
      ids: z.strictObject({ phi3: delegation, mistral: delegation }).partial(),
    }),
    /** Images that anybody may pull. */
    z.strictObject({ kind: z.literal("public") }),
  ],
  "must have kind ecr, token, delegation or public",
);

const StackConfig = z.strictObject({
  frontend: z.strictObject({
    /** Where the hosted sign-in may return to, exactly. */
    callbackUrls: z.array(url).min(1),
    /** Where sign-out may return to, exactly. */
    logoutUrls: z.array(url).min(1),
    /** Origins that may call the API from a browser. */
    origins: z.array(url.refine(isOrigin, "must be an origin, without a path")).min(1),
  }),
  auth: z.strictObject({
    /** `https://<domainPrefix>.auth.<region>.amazoncognito.com` is the hosted sign-in. */
    domainPrefix: z
      .string()
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "must be lower-case letters, digits and -"),
    /** Base URL of the hosted sign-in where it is not Cognito's own: the local cloud's. */
    domainUrl: url.optional(),
  }),
  /** Refuses to delete the user pool and the customers' table. */
  deletionProtection: z.boolean().default(true),
  ticketKeys: z
    .strictObject({
      /** Number of the key that signs. */
      signing: z.int().positive(),
      /** Numbers of the keys that workers accept; two while one replaces the other. */
      accepted: z.array(z.int().positive()).min(1).max(3),
    })
    .refine(({ signing, accepted }) => accepted.includes(signing), {
      path: ["accepted"],
      message: "must include the signing key",
    })
    .default({ signing: 1, accepted: [1] }),
  throttle: z
    .strictObject({
      /** Requests a second, of each route. */
      ratePerSecond: z.number().positive(),
      burst: z.int().positive(),
    })
    .default({ ratePerSecond: 50, burst: 100 }),
  guest: z.strictObject({ sessionsPerHour: z.int().positive() }).default({ sessionsPerHour: 30 }),
  /** RunPod's control plane, and which of its APIs. Read by the RunPod provider itself too. */
  runpodApiUrl: url.default("https://api.runpod.io"),
  runpodApi: z.enum(["graphql", "rest"], "must be graphql or rest").default("graphql"),
  /** Most workers of the RunPod account over all endpoints, as its console shows it; left to RunPod without. */
  runpodWorkerQuota: z.int().positive().optional(),
  registry: RegistryConfig.prefault({ kind: "ecr" }),
  /** RunPod's job API. */
  runpodJobApiUrl: url.default("https://api.runpod.ai/v2"),
  /** Base URL of Stripe's API where it is not Stripe's own: the local cloud's. */
  stripeApiUrl: url.default("https://api.stripe.com"),
  billing: z
    .strictObject({
      /** Stripe price ids of each plan: the first is sold, the others are still honoured. A plan without one is not sold. */
      prices: z.strictObject({ paid: prices, vip: prices }).default({ paid: [], vip: [] }),
      /** Where Checkout and the portal come back to: of these the one of the caller's origin, or else the first. */
      returnUrls: z.array(url).min(1).optional(),
      /** Days that an unpaid renewal leaves the plan as it is. */
      graceDays: z.int().min(0).max(30).default(7),
      /** Configuration of the customer portal, `bpc_…`; default: the one of Stripe's dashboard. */
      portalConfiguration: z.string().startsWith("bpc_", "must be the id of a portal configuration, bpc_…").optional(),
      /** A higher number replaces the webhook endpoint, and with it the secret. */
      webhookSecretGeneration: z.int().positive().default(1),
    })
    .prefault({}),
  phi3: ModelConfig,
  mistral: ModelConfig,
});

/** What of a stack's configuration is no secret, parsed. */
export type PlainConfig = z.infer<typeof StackConfig>;

/** Its keys, without the project's namespace. */
export const plainKeys: string[] = Object.keys(StackConfig.shape);

/**
 * Parses what of a stack's configuration is no secret.
 *
 * @param get a key's value as Pulumi keeps it, as text
 * @returns the configuration, or one line for every bad value: the key, what is allowed and what it is
 */
export function parsePlainConfig(
  get: (key: string) => string | undefined,
): { config: PlainConfig; problems?: never } | { config?: never; problems: string[] } {
  const given = plainKeys.flatMap((key) => {
    const text = get(key);
    return text === undefined ? [] : [[key, parse(text)]];
  });
  const stack: unknown = Object.fromEntries(given);
  const { data, error } = StackConfig.safeParse(stack);
  return error ? { problems: error.issues.map((issue) => explain(issue, stack)) } : { config: data };
}

/** The key, what is allowed, and what it is. None of these values is a secret. */
function explain({ path, message }: z.core.$ZodIssue, stack: unknown): string {
  const value = path.reduce(
    (inner: unknown, step) => (inner as Record<PropertyKey, unknown> | undefined)?.[step],
    stack,
  );
  return `${path.join(".")}: ${message}${value === undefined ? "" : `, got ${JSON.stringify(value)}`}`;
}

function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && ["localhost", "127.0.0.1"].includes(hostname));
}

function isOrigin(text: string): boolean {
  return !URL.canParse(text) || new URL(text).origin === text;
}

/** Pulumi keeps every value as text; numbers, booleans, lists and objects are JSON in it. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
