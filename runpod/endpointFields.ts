import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { GPU_POOLS } from "./gpuPools";
import { nameField, ownerField } from "./templateFields";

const poolError = mustBe(`a GPU pool (${GPU_POOLS.join(", ")}), or a GPU type to exclude (-NVIDIA L4)`);
const gpusError = mustBe(`a list with at least one GPU pool (${GPU_POOLS.join(", ")})`);
const templateError = mustBe("the id of a template");
const scalerError = mustBe("QUEUE_DELAY or REQUEST_COUNT");
const flashBootError = mustBe("OFF, FLASHBOOT or PRIORITY_FLASHBOOT");
const locationError = mustBe("a data centre or country (US-KS-2, EU-RO-1, CZ)");
const locationsError = mustBe("a list of data centres; leave it out to allow all");
const cudaError = mustBe('a CUDA version ("12.8")');
const modelError = mustBe("a model on Hugging Face (https://huggingface.co/org/name:main)");
const modelsError = mustBe("a list of models; leave it out for none");

const gpuId = z
  .string({ error: poolError })
  .refine((id) => isPool(id) || /^-[^-\s,][^,]*$/.test(id), { error: poolError });
const location = z.string({ error: locationError }).regex(/^[A-Z]{2,4}(-[A-Z0-9]+)*$/, { error: locationError });
const model = z
  .string({ error: modelError })
  .regex(/^https:\/\/huggingface\.co\/[^/\s]+\/[^/\s]+$/, { error: modelError });

/** Schemas of an endpoint's fields. */
export const endpointFields = {
  owner: ownerField,
  name: nameField,
  templateId: z.string({ error: templateError }).min(1, { error: templateError }),
  gpuIds: z
    .array(gpuId, { error: gpusError })
    .refine((ids) => ids.some((id) => !id.startsWith("-")), { error: gpusError }),
  gpuCount: wholeNumber(1, 10).default(1),
  workersMin: wholeNumber(0, 1000),
  workersMax: wholeNumber(0, 1000),
  idleTimeoutSeconds: wholeNumber(1, 3600),
  scalerType: z.enum(["QUEUE_DELAY", "REQUEST_COUNT"], { error: scalerError }),
  scalerValue: wholeNumber(1, 3600),
  executionTimeoutMs: wholeNumber(5_000, 7 * 24 * 3_600_000),
  flashBootType: z.enum(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"], { error: flashBootError }).default("OFF"),
  locations: z.array(location, { error: locationsError }).default([]),
  minCudaVersion: z
    .string({ error: cudaError })
    .regex(/^\d+\.\d+$/, { error: cudaError })
    .optional(),
  modelReferences: z.array(model, { error: modelsError }).default([]),
};

/** Validated inputs of an endpoint. */
export type EndpointInputs = Values<typeof endpointFields>;

function isPool(id: string): boolean {
  return GPU_POOLS.some((pool) => pool === id);
}

function wholeNumber(min: number, max: number) {
  const error = mustBe(`a whole number from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}
