import { z } from "zod";
import type { ResourceType } from "../support/resource";
import { text } from "../support/values";

/** Adds the final dot of a DNS name if the name has none. */
export function fqdn(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}

/**
 * aws:route53/record:Record. The local cloud has no hosted zones: it accepts every zone id, and no name server answers
 * the records.
 */
export const record: ResourceType = {
  type: "aws:route53/record:Record",
  inputs: z
    .looseObject({
      zoneId: z.string().regex(/^Z[A-Z0-9]{1,31}$/, "must be the id of a hosted zone, Z…"),
      name: z.string().min(1),
      type: z.enum(["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SPF", "SRV", "TXT"]),
      ttl: z.number().int().min(0).optional(),
      records: z.array(z.string()).optional(),
      aliases: z
        .array(z.looseObject({ name: z.string(), zoneId: z.string(), evaluateTargetHealth: z.boolean() }))
        .length(1)
        .optional(),
    })
    .refine(({ aliases, records }) => (aliases === undefined) !== (records === undefined), {
      path: ["records"],
      error: "exactly one of aliases and records must be set",
    })
    .refine(({ aliases, ttl }) => (aliases === undefined) === (ttl !== undefined), {
      path: ["ttl"],
      error: "is required with records, and not allowed with aliases",
    }),
  replaceOn: ["zoneId", "name", "type"],
  id: (inputs) => `${text(inputs, "zoneId")}_${text(inputs, "name").replace(/\.$/, "")}_${text(inputs, "type")}`,
  conflict: "InvalidChangeBatch: Tried to create resource record set but it already exists",
  computed: { fqdn: ({ inputs }) => text(inputs, "name").replace(/\.$/, "") },
};
