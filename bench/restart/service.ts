/** The ports of a service: plain, TLS, and HTTP/2 over TLS. */
export type Door = 'http' | 'https' | 'h2'

/** What all services of a run are made with. */
export interface Site {
  readonly ports: Readonly<Record<Door, number>>
  /** Of the bench: certificates, configuration files, PID files. */
  readonly directory: string
  /** ms that an idle connection may stay. */
  readonly keepAliveTimeout: number
  readonly workers: number
}

/** A service that runs, and what is done to it. */
export interface Running {
  /** Does it once; resolves when it is done, as far as the service tells. */
  act: () => Promise<void>
  /** Ends it and all that it has started. */
  end: () => Promise<void>
  /** The process that stays, if one does. */
  readonly pid?: number
  /** What the scenario has seen besides the clients. */
  notes?: () => string[]
  /** What it owes besides that nothing is lost, and has missed. */
  missed?: () => string[]
}

/** A way to run a service and to replace it under load. */
export interface Scenario {
  readonly name: string
  /** Whether processes are killed: what they had in flight is lost then. */
  readonly kills?: boolean
  /** What the clients of these loads need does not exist in it. */
  readonly without?: readonly string[]
  /** Resolves with its version, or with nothing where it is not installed. */
  version: () => Promise<string | undefined>
  start: (site: Site) => Promise<Running>
}
