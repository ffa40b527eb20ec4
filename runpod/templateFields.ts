import { z } from "zod";
import { mustBe, type Values } from "../dynamic/fields";
import { OWNER_TAG, TEMPLATE_TAG } from "./ownerTag";

const nameError = mustBe("a name of 3 to 191 characters");
const imageError = mustBe("an image with a tag other than latest, or a digest (registry.example/worker:2026-11-01)");
const diskError = mustBe("a whole number of gigabytes, at least 1 and more than the unpacked image");
const argsError = mustBe("the arguments as one text; an empty text keeps the image's own command");
const registryError = mustBe("the id of registry credentials stored at RunPod");
const ownerError = mustBe("the project and stack, <project>/<stack>");

/** Schema of the `owner` of every resource. The resource class sets the owner; the program does not. */
export const ownerField = z.string({ error: ownerError }).min(1, { error: ownerError });

/** Schema of a name at RunPod. */
export const nameField = z.string({ error: nameError }).min(3, { error: nameError }).max(191, { error: nameError });

/** Schema of a secret text. The error never quotes the value. */
export const secretField = z
  .string({ error: ({ input }) => (input === undefined ? "is required" : "must be a text") })
  .min(1, { error: "must not be empty" });

/** Schemas of a template's fields. */
export const templateFields = {
  owner: ownerField,
  name: nameField,
  imageName: z.string({ error: imageError }).refine(isPinned, { error: imageError }),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string({ error: "must be a text" }), {
      // The value may be a secret, so the message never quotes it.
      error: ({ code, input }) => {
        if (code === "invalid_key") return "is not a variable name: only letters, digits and _ are allowed";
        return input === undefined ? "is required; {} means no variables" : "must be variable names with text values";
      },
    })
    .refine((env) => !(OWNER_TAG in env || TEMPLATE_TAG in env), {
      error: `must not set ${OWNER_TAG} or ${TEMPLATE_TAG}: the provider sets them to tag its resources`,
    }),
  containerDiskInGb: z.int({ error: diskError }).min(1, { error: diskError }),
  dockerArgs: z.string({ error: argsError }).default(""),
  containerRegistryAuthId: z.string({ error: registryError }).min(1, { error: registryError }).optional(),
};

/** Validated inputs of a template. */
export type TemplateInputs = Values<typeof templateFields>;

// RunPod's hosts cache images by tag. If a tag such as `latest` gets a new build, a host does not pull this build.
function isPinned(imageName: string): boolean {
  const parts = /^[a-z0-9][\w.:/-]*?(?::(?<tag>[\w][\w.-]{0,127}))?(?<digest>@sha256:[0-9a-f]{64})?$/i.exec(
    imageName,
  )?.groups;
  if (parts === undefined) return false;
  return parts.digest !== undefined || (parts.tag !== undefined && parts.tag !== "latest");
}
