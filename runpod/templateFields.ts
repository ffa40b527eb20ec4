import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { MARK, TEMPLATE_MARK } from "./ownerTag";

const named = mustBe("a name of 3 to 191 characters");
const pinned = mustBe("an image with a tag other than latest, or a digest (registry.example/worker:2026-11-01)");
const disk = mustBe("a whole number of gigabytes, at least 1 and more than the unpacked image");
const command = mustBe("the arguments as one text; empty keeps the image's own command");
const registry = mustBe("the id of registry credentials stored at RunPod");
const stack = mustBe("the project and stack, <project>/<stack>");

/** The schema every resource's `owner` has: set by the resource class, never by the program. */
export const ownerField = z.string({ error: stack }).min(1, { error: stack });

/** The schema of a name at RunPod. */
export const nameField = z.string({ error: named }).min(3, { error: named }).max(191, { error: named });

/** The fields of a template, checked. */
export const templateFields = {
  owner: ownerField,
  name: nameField,
  imageName: z.string({ error: pinned }).refine(isPinned, { error: pinned }),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string({ error: "must be a text" }), {
      // What came may be a secret, so the text never repeats it.
      error: ({ code, input }) => {
        if (code === "invalid_key") return "is not the name of a variable: letters, digits and _ only";
        return input === undefined ? "is required, {} for none" : "must be variable names with text values";
      },
    })
    .refine((env) => !(MARK in env || TEMPLATE_MARK in env), {
      error: `may not set ${MARK} or ${TEMPLATE_MARK}: they say whose a template or an endpoint is`,
    }),
  containerDiskInGb: z.int({ error: disk }).min(1, { error: disk }),
  dockerArgs: z.string({ error: command }).default(""),
  containerRegistryAuthId: z.string({ error: registry }).min(1, { error: registry }).optional(),
};

/** A template's inputs, trusted. */
export type TemplateInputs = Values<typeof templateFields>;

// Hosts keep an image per tag, so a moved tag such as latest would never reach them.
function isPinned(imageName: string): boolean {
  const parts = /^[a-z0-9][\w.:/-]*?(?::(?<tag>[\w][\w.-]{0,127}))?(?<digest>@sha256:[0-9a-f]{64})?$/i.exec(
    imageName,
  )?.groups;
  if (parts === undefined) return false;
  return parts.digest !== undefined || (parts.tag !== undefined && parts.tag !== "latest");
}
