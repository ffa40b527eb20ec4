import { JsonFile } from "../../support/store";
import { newId } from "./ids";
import type { Delegation, Endpoint, NetworkVolume, RegistryAuth, ReleaseRecord, Secret, Template } from "./records";

/** Contents of an account, by id. */
interface AccountState {
  userId: string;
  templates: Record<string, Template>;
  endpoints: Record<string, Endpoint>;
  /** Releases by endpoint id, the newest first. */
  releases: Record<string, ReleaseRecord[]>;
  registryAuths: Record<string, RegistryAuth>;
  delegations: Record<string, Delegation>;
  networkVolumes: Record<string, NetworkVolume>;
  secrets: Record<string, Secret>;
}

/** File that stores an account. */
export type AccountFile = JsonFile<AccountState>;

/** Opens an account's file or creates an empty account. */
export function openAccount(path: string): AccountFile {
  const empty: AccountState = {
    userId: newId("user_"),
    templates: {},
    endpoints: {},
    releases: {},
    registryAuths: {},
    delegations: {},
    networkVolumes: {},
    secrets: {},
  };
  const file = new JsonFile<AccountState>(path, empty);
  // A file that an earlier version wrote may lack some of the fields.
  file.data = { ...empty, ...file.data };
  return file;
}
