import { optionChecker, type Rule } from '@fastkeep/options'
import type { Bus } from './bus.js'
import type { Channels } from './channels.js'

interface Step {
  readonly channel: Exclude<keyof Channels, 'log'>
  /** Where among the other listeners of the channel, unless {@link Priorities} say otherwise. */
  readonly priority: number
  readonly run: () => unknown
}

/** Other priorities than the default ones, by the name of the step, for one instance of a plugin. */
export type Priorities<Name extends string> = { readonly [name in Name]?: number | undefined }

const priority: Rule = { expected: 'a number', accepts: value => Number.isFinite(value) }

const checkPriorities = optionChecker('engine')

/** The listeners of one plugin under one name: they join the bus and leave it together. */
export class Unit<Name extends string> {
  readonly #bus: Bus
  readonly #name: string
  readonly #steps: Readonly<Record<Name, Step>>
  #leave: Array<() => void> = []

  constructor (bus: Bus, name: string, steps: Readonly<Record<Name, Step>>) {
    this.#bus = bus
    this.#name = name
    this.#steps = steps
  }

  get isSubscribed (): boolean {
    return this.#leave.length > 0
  }

  /**
   * Does nothing if it was done before.
   *
   * @throws `FST_KEEP_ENGINE_OPTION_UNKNOWN` for a step that there is not, `FST_KEEP_ENGINE_OPTION_INVALID`
   */
  subscribe (priorities: Priorities<Name> = {}): void {
    const steps = Object.entries<Step>(this.#steps)
    checkPriorities(priorities, Object.fromEntries(steps.map(([name]) => [name, priority])))
    if (this.isSubscribed) return
    this.#leave = steps.map(([step, { channel, priority, run }]) => {
      return this.#bus.subscribe(channel, run, { priority: priorities[step as Name] ?? priority, name: this.#name })
    })
  }

  unsubscribe (): void {
    for (const leave of this.#leave) leave()
    this.#leave = []
  }
}
