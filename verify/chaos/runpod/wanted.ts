import { byModel, type Model, models } from "../../../contract/plan";
import type { Random } from "../random";

/** What a program says of one model. */
export interface WantedModel {
  /** Of its template and its endpoint. */
  name: string;
  imageName: string;
  env: Record<string, string>;
  gpuIds: string[];
  workersMax: number;
  idleTimeoutSeconds: number;
}

/** What a program says of a stack. */
export interface Wanted {
  registry: { name: string; password: string };
  models: Partial<Record<Model, WantedModel>>;
}

/** Whose everything is: `<project>/<stack>`. */
export const owner = "snack-misaki/chaos";

/** A stack as it is brought up first. */
export function firstWanted(): Wanted {
  return {
    registry: { name: "snack-misaki-chaos-registry", password: "password 1" },
    models: byModel(model),
  };
}

function model(name: Model): WantedModel {
  return {
    name: `snack-misaki-chaos-${name}`,
    imageName: `registry.example/${name}:1`,
    env: { MODEL: name, GENERATION: "1" },
    gpuIds: ["AMPERE_24", "ADA_24", "-NVIDIA L4"],
    workersMax: 3,
    idleTimeoutSeconds: 60,
  };
}

/** Something an operator changes in the program; `number` makes it another value each time. */
type Change = (wanted: Wanted, number: number, random: Random) => Wanted;

const ofModel =
  (change: (wanted: WantedModel, number: number, random: Random) => Partial<WantedModel>): Change =>
  (wanted, number, random) => {
    const name = random.pick(models);
    const before = wanted.models[name];
    if (!before) return wanted;
    return { ...wanted, models: { ...wanted.models, [name]: { ...before, ...change(before, number, random) } } };
  };

const changes: Record<string, Change> = {
  nothing: (wanted) => wanted,
  imageTag: ofModel(({ imageName }, number) => ({ imageName: imageName.replace(/:.*/, `:${number}`) })),
  env: ofModel(({ env }, number) => ({ env: { GENERATION: String(number), MODEL: env.MODEL ?? "" } })),
  workersMax: ofModel((_, _number, random) => ({ workersMax: random.int(1, 4) })),
  idleTimeout: ofModel((_, number) => ({ idleTimeoutSeconds: 60 + number })),
  // The same set: no change.
  gpuOrder: ofModel(({ gpuIds }) => ({ gpuIds: gpuIds.toReversed() })),
  name: ofModel(({ name }, number) => ({ name: `${name.replace(/-v\d+$/, "")}-v${number}` })),
  model: (wanted, _number, random) => {
    const name = random.pick(models);
    const { [name]: present, ...others } = wanted.models;
    return { ...wanted, models: present ? others : { ...others, [name]: model(name) } };
  },
  registryName: (wanted, number) => ({
    ...wanted,
    registry: { ...wanted.registry, name: `snack-misaki-chaos-registry-${number}` },
  }),
};

/** What only GraphQL can do. */
const graphqlChanges: Record<string, Change> = {
  registryPassword: (wanted, number) => ({
    ...wanted,
    registry: { ...wanted.registry, password: `password ${number}` },
  }),
};

/** The stack after one more change. */
export function changed(wanted: Wanted, api: "graphql" | "rest", number: number, random: Random): Wanted {
  const possible = Object.values(api === "graphql" ? { ...changes, ...graphqlChanges } : changes);
  return random.pick(possible)(wanted, number, random);
}
