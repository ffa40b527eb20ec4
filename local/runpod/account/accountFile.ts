import { StateStore } from "../../support/stateStore";
import { newId } from "./ids";
import type { Delegation, Endpoint, NetworkVolume, RegistryAuth, ReleaseRecord, Secret, Template } from "./records";

/** Contents of an account, by id. */
interface AccountState {
  account: { userId: string };
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
export type AccountFile = StateStore<AccountState>;

/**
 * Opens an account's file or creates an empty account.
 *
 * @param path file of the account. Undefined: the account is in memory only
 */
export function openAccount(path: string | undefined): AccountFile {
  return new StateStore<AccountState>(path, {
    account: { userId: newId("user_") },
    templates: {},
    endpoints: {},
    releases: {},
    registryAuths: {},
    delegations: {},
    networkVolumes: {},
    secrets: {},
  });
}
