import { byModel, type Model, models } from "../../../contract/plan";
import { secretReference } from "../../../runpod/secretReference";
import type { Random } from "../random";

/** Template and endpoint that a program declares for one model. */
export interface DeclaredModel {
  /** Name of the template and of the endpoint. */
  name: string;
  imageName: string;
  env: Record<string, string>;
  gpuIds: string[];
  workersMax: number;
  idleTimeoutSeconds: number;
}

/** Everything that a program declares for a stack. */
export interface DeclaredStack {
  registry: { name: string; password: string };
  /** Token of all workers. Undefined: the workers get no token. */
  secret: { name: string; value: string } | undefined;
  models: Partial<Record<Model, DeclaredModel>>;
}

/** Owner tag of all resources: `<project>/<stack>`. */
export const owner = "snack-misaki/chaos";

/** The stack that the first `up` creates. */
export function initialStack(): DeclaredStack {
  return {
    registry: { name: "snack-misaki-chaos-registry", password: "password 1" },
    secret: { name: "snack-misaki-chaos-token", value: "token 1" },
    models: byModel(model),
  };
}

function model(name: Model): DeclaredModel {
  return {
    name: `snack-misaki-chaos-${name}`,
    imageName: `registry.example/${name}:1`,
    env: { MODEL: name, GENERATION: "1" },
    gpuIds: ["AMPERE_24", "ADA_24", "-NVIDIA L4"],
    workersMax: 3,
    idleTimeoutSeconds: 60,
  };
}

/** The environment that a template gets: the declared variables, and the reference to the secret. */
export function environmentOf({ env }: DeclaredModel, { secret }: DeclaredStack): Record<string, string> {
  return { ...env, ...(secret && { HF_TOKEN: secretReference(secret.name) }) };
}

/** A change of the program. `number` makes each new value different. */
type Change = (stack: DeclaredStack, number: number, random: Random) => DeclaredStack;

const ofModel =
  (change: (model: DeclaredModel, number: number, random: Random) => Partial<DeclaredModel>): Change =>
  (stack, number, random) => {
    const name = random.pick(models);
    const before = stack.models[name];
    if (!before) return stack;
    return { ...stack, models: { ...stack.models, [name]: { ...before, ...change(before, number, random) } } };
  };

const changes: Record<string, Change> = {
  nothing: (stack) => stack,
  imageTag: ofModel(({ imageName }, number) => ({ imageName: imageName.replace(/:.*/, `:${number}`) })),
  env: ofModel(({ env }, number) => ({ env: { GENERATION: String(number), MODEL: env.MODEL ?? "" } })),
  workersMax: ofModel((_, _number, random) => ({ workersMax: random.int(1, 4) })),
  idleTimeout: ofModel((_, number) => ({ idleTimeoutSeconds: 60 + number })),
  // The order of GPUs has no meaning, so Pulumi must not show a change.
  gpuOrder: ofModel(({ gpuIds }) => ({ gpuIds: gpuIds.toReversed() })),
  name: ofModel(({ name }, number) => ({ name: `${name.replace(/-v\d+$/, "")}-v${number}` })),
  model: (stack, _number, random) => {
    const name = random.pick(models);
    const { [name]: present, ...others } = stack.models;
    return { ...stack, models: present ? others : { ...others, [name]: model(name) } };
  },
  registryName: (stack, number) => ({
    ...stack,
    registry: { ...stack.registry, name: `snack-misaki-chaos-registry-${number}` },
  }),
  registryPassword: (stack, number) => ({
    ...stack,
    registry: { ...stack.registry, password: `password ${number}` },
  }),
  secret: (stack, number) => ({
    ...stack,
    secret: stack.secret ? undefined : { name: "snack-misaki-chaos-token", value: `token ${number}` },
  }),
  secretName: ({ secret, ...stack }, number) => ({
    ...stack,
    secret: secret && { ...secret, name: `snack-misaki-chaos-token-${number}` },
  }),
  secretValue: ({ secret, ...stack }, number) => ({
    ...stack,
    secret: secret && { ...secret, value: `token ${number}` },
  }),
};

/** Applies one random change. */
export function withRandomChange(stack: DeclaredStack, number: number, random: Random): DeclaredStack {
  return random.pick(Object.values(changes))(stack, number, random);
}
