import { JsonFile } from "../../support/store";
import { newId } from "./ids";
import type { Delegation, Endpoint, NetworkVolume, RegistryAuth, ReleaseRecord, Secret, Template } from "./records";

/** All that an account holds, by id. */
interface AccountState {
  userId: string;
  templates: Record<string, Template>;
  endpoints: Record<string, Endpoint>;
  /** Of each endpoint, the newest first. */
  releases: Record<string, ReleaseRecord[]>;
  registryAuths: Record<string, RegistryAuth>;
  delegations: Record<string, Delegation>;
  networkVolumes: Record<string, NetworkVolume>;
  secrets: Record<string, Secret>;
}

/** The file that an account is kept in. */
export type AccountFile = JsonFile<AccountState>;

/** Opens it, or begins a new one. */
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
  // One that was written before there were all of these.
  file.data = { ...empty, ...file.data };
  return file;
}
