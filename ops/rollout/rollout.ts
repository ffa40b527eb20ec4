import { command, run } from "../../cli/command";
import type { Model } from "../../contract/plan";
import { type ChangeOptions, changeImage, modelArgument, withChangeOptions } from "./changeImage";
import { wantedImage } from "./wantedImage";

const program = withChangeOptions(
  command("rollout", "Sets the image of a model in a stack's file. The next `pulumi up` rolls it out."),
)
  .addArgument(modelArgument())
  .argument("<image>", "tag, digest sha256:…, or whole name host/name:tag or host/name@sha256:…")
  .addHelpText(
    "after",
    `
A tag or a digest keeps the repository of the model's imageUri. The other lines of the file, and its comments, do not change.
--propose needs git and gh, and a gh that is signed in.`,
  )
  .action((model: Model, image: string, options: ChangeOptions) =>
    changeImage("Roll out", model, options, (current) => wantedImage(image, current)),
  );

void run(program);
