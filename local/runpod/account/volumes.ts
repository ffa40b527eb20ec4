import type { AccountFile } from "./accountFile";
import { newId } from "./ids";
import type { NetworkVolume } from "./records";
import { AccountError } from "./rules";

/** An account's network volumes: names, sizes and places. Nothing can be stored on them here. */
export class NetworkVolumes {
  constructor(private readonly file: AccountFile) {}

  get all(): NetworkVolume[] {
    return Object.values(this.file.data.networkVolumes);
  }

  find(id: string | null | undefined): NetworkVolume | undefined {
    return this.file.data.networkVolumes[id ?? ""];
  }

  /** Refuses an id that is not there. */
  require(id: string): NetworkVolume {
    const volume = this.find(id);
    if (!volume) throw new AccountError("Network volume not found", "missing");
    return volume;
  }

  /** Creates one, or renames and grows the one with `id`. */
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
    this.file.save();
    return volume;
  }

  /** Deletes one. */
  remove(id: string): void {
    this.require(id);
    delete this.file.data.networkVolumes[id];
    this.file.save();
  }
}
