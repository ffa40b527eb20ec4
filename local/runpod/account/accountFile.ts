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

/** File that stores an account. Call `save` after a change of `data`. */
export interface AccountFile {
  data: AccountState;
  save(): void;
}

/**
 * Opens an account's file or creates an empty account.
 *
 * @param path undefined keeps the account in memory only
 */
export function openAccount(path: string | undefined): AccountFile {
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
  if (path === undefined) return { data: empty, save: () => {} };
  const file = new JsonFile<AccountState>(path, empty);
  // A file that an earlier version wrote may lack some of the fields.
  file.data = { ...empty, ...file.data };
  return file;
}
