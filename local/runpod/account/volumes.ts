import type { AccountFile } from "./accountFile";
import { newId } from "./ids";
import type { NetworkVolume } from "./records";
import { AccountError } from "./rules";

/** Network volumes of an account: names, sizes and data centers. They store no data. */
export class NetworkVolumes {
  constructor(private readonly file: AccountFile) {}

  get all(): NetworkVolume[] {
    return Object.values(this.file.data.networkVolumes);
  }

  find(id: string | null | undefined): NetworkVolume | undefined {
    return this.file.data.networkVolumes[id ?? ""];
  }

  /** @throws AccountError for an unknown id */
  require(id: string): NetworkVolume {
    const volume = this.find(id);
    if (!volume) throw new AccountError("Network volume not found", "missing");
    return volume;
  }

  /** Creates a volume, or renames and enlarges the volume with `id`. */
  save(input: { id?: string; name?: string; size?: number; dataCenterId?: string }): NetworkVolume {
    const before = input.id === undefined ? undefined : this.require(input.id);
    const volume: NetworkVolume = {
      id: before?.id ?? newId(),
      name: input.name ?? before?.name ?? "volume",
      size: input.size ?? before?.size ?? 10,
      dataCenterId: before?.dataCenterId ?? input.dataCenterId ?? "",
    };
    if (volume.size < 10 || volume.size > 4096) throw new AccountError("size must be from 10 to 4096 GB");
    if (before && volume.size < before.size) throw new AccountError("size cannot be reduced");
    this.file.data.networkVolumes[volume.id] = volume;
    this.file.save("networkVolumes", volume.id);
    return volume;
  }

  /** Deletes a volume. */
  remove(id: string): void {
    this.require(id);
    delete this.file.data.networkVolumes[id];
    this.file.save("networkVolumes", id);
  }
}
