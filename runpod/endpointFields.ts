import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { GPU_POOLS } from "./gpuPools";
import { nameField, ownerField } from "./templateFields";

const gpu = mustBe(`a GPU pool (${GPU_POOLS.join(", ")}), or a GPU type to leave out (-NVIDIA L4)`);
const gpus = mustBe(`a list with at least one GPU pool (${GPU_POOLS.join(", ")})`);
const template = mustBe("the id of a template");
const scaler = mustBe("QUEUE_DELAY or REQUEST_COUNT");
const flashBoot = mustBe("OFF, FLASHBOOT or PRIORITY_FLASHBOOT");
const place = mustBe("a data centre or country (US-KS-2, EU-RO-1, CZ)");
const places = mustBe("a list of data centres; leave it out for anywhere");
const cuda = mustBe('a CUDA version ("12.8")');
const reference = mustBe("a model on Hugging Face (https://huggingface.co/org/name:main)");
const references = mustBe("a list of models; leave it out for none");

const gpuId = z.string({ error: gpu }).refine((id) => isPool(id) || /^-[^-\s,][^,]*$/.test(id), { error: gpu });

/** The fields of an endpoint, checked. */
export const endpointFields = {
  owner: ownerField,
  name: nameField,
  templateId: z.string({ error: template }).min(1, { error: template }),
  gpuIds: z.array(gpuId, { error: gpus }).refine((ids) => ids.some((id) => !id.startsWith("-")), { error: gpus }),
  gpuCount: whole(1, 10).default(1),
  workersMin: whole(0, 1000),
  workersMax: whole(0, 1000),
  idleTimeoutSeconds: whole(1, 3600),
  scalerType: z.enum(["QUEUE_DELAY", "REQUEST_COUNT"], { error: scaler }),
  scalerValue: whole(1, 3600),
  executionTimeoutMs: whole(5_000, 7 * 24 * 3_600_000),
  flashBootType: z.enum(["OFF", "FLASHBOOT", "PRIORITY_FLASHBOOT"], { error: flashBoot }).default("OFF"),
  locations: z
    .array(z.string({ error: place }).regex(/^[A-Z]{2,4}(-[A-Z0-9]+)*$/, { error: place }), { error: places })
    .default([]),
  minCudaVersion: z
    .string({ error: cuda })
    .regex(/^\d+\.\d+$/, { error: cuda })
    .optional(),
  modelReferences: z
    .array(
      z.string({ error: reference }).regex(/^https:\/\/huggingface\.co\/[^/\s]+\/[^/\s]+$/, { error: reference }),
      {
        error: references,
      },
    )
    .default([]),
};

/** An endpoint's inputs, trusted. */
export type EndpointInputs = Values<typeof endpointFields>;

function isPool(id: string): boolean {
  return GPU_POOLS.some((pool) => pool === id);
}

function whole(min: number, max: number) {
  const error = mustBe(`a whole number from ${min} to ${max}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
}
