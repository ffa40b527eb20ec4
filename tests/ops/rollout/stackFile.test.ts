import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { imageOf, withImage } from "../../../ops/rollout/stackFile";
import { wantedImage } from "../../../ops/rollout/wantedImage";

const digest = `sha256:${"a".repeat(64)}`;
const other = `sha256:${"b".repeat(64)}`;

describe("withImage", () => {
  const text = readFileSync("Pulumi.dev.yaml", "utf8");

  it("changes only the characters of the image, and keeps comments, order and line breaks", () => {
    const next = withImage(text, "mistral", { key: "imageUri", value: `ghcr.io/example/mistral@${digest}` });
    const changed = next.split("\n").filter((line) => !text.split("\n").includes(line));
    expect(changed).toEqual([`    imageUri: "ghcr.io/example/mistral@${digest}"`]);
    expect(next.split("\n")).toHaveLength(text.split("\n").length);
    expect(imageOf(next, "mistral")).toEqual({ key: "imageUri", value: `ghcr.io/example/mistral@${digest}` });
    expect(imageOf(next, "phi3")).toEqual(imageOf(text, "phi3"));
  });

  it("keeps the comment on the line of the image", () => {
    const commented = "config:\n  snack-misaki:phi3: # the free plan\n    imageTag: 1 # first\n    workersMax: 1\n";
    expect(withImage(commented, "phi3", { key: "imageTag", value: "2" })).toBe(
      'config:\n  snack-misaki:phi3: # the free plan\n    imageTag: "2" # first\n    workersMax: 1\n',
    );
  });

  it("keeps the leading zeros of a numeric tag, and writes a numeric tag in quotes", () => {
    const block = "config:\n  snack-misaki:phi3: { imageTag: 007, workersMax: 1 }\n";
    expect(imageOf(block, "phi3")).toEqual({ key: "imageTag", value: "007" });
    const next = withImage(block, "phi3", { key: "imageTag", value: "20261201" });
    expect(next).toBe('config:\n  snack-misaki:phi3: { imageTag: "20261201", workersMax: 1 }\n');
  });

  it.each([
    ["has no block for the model", "config:\n  snack-misaki:mistral:\n    imageTag: a\n"],
    ["has a block without an image", "config:\n  snack-misaki:phi3:\n    workersMax: 1\n"],
    ["is empty", ""],
    ["is not YAML", "config: [\n"],
  ])("throws an error that names the key when the file %s", (_, bad) => {
    expect(imageOf(bad, "phi3")).toBeUndefined();
    expect(() => withImage(bad, "phi3", { key: "imageTag", value: "b" })).toThrow(
      "snack-misaki:phi3: must have imageTag or pushedTag or imageUri",
    );
  });
});

describe("wantedImage", () => {
  const uri = (value: string) => ({ key: "imageUri" as const, value });
  const tag = (value: string) => ({ key: "imageTag" as const, value });
  const pushed = (value: string) => ({ key: "pushedTag" as const, value });

  it.each([
    ["a tag replaces the tag", "v2", tag("v1"), tag("v2")],
    ["a tag after a rollback is built", "v2", pushed("v1"), tag("v2")],
    ["a tag keeps the repository", "v2", uri("host:5000/a/b:v1"), uri("host:5000/a/b:v2")],
    ["a tag replaces a digest", "v2", uri(`ghcr.io/a/b@${digest}`), uri("ghcr.io/a/b:v2")],
    ["a digest replaces a tag", digest, uri("ghcr.io/a/b:v1"), uri(`ghcr.io/a/b@${digest}`)],
    ["a digest replaces a tag with a digest", other, uri(`ghcr.io/a/b:v1@${digest}`), uri(`ghcr.io/a/b@${other}`)],
    ["a digest keeps a repository without a tag", digest, uri("host:5000/b"), uri(`host:5000/b@${digest}`)],
    ["a whole name replaces the tag", "ghcr.io/a/b:v2", tag("v1"), uri("ghcr.io/a/b:v2")],
  ])("%s", (_, wanted, current, expected) => {
    expect(wantedImage(wanted, current)).toEqual(expected);
  });

  it("rejects a digest when the current image has no repository", () => {
    expect(() => wantedImage(digest, tag("v1"))).toThrow(`Give the whole name: host/name@${digest}`);
  });
});
