type Methods<Port> = { readonly [Name in keyof Port]: (...args: never[]) => Promise<unknown> };

/**
 * A port whose code is loaded when it is asked first: a cold webhook must not pay for the client of a service that it
 * does not call. `names` are all of the port's methods; a load that failed is tried again by the next call.
 */
export function lazily<Port extends Methods<Port>>(
  names: Readonly<Record<keyof Port, true>>,
  load: () => Promise<Port>,
): Port {
  let loaded: Promise<Port> | undefined;
  const loadOnce = async (): Promise<Port> => {
    loaded ??= load();
    try {
      return await loaded;
    } catch (error) {
      loaded = undefined;
      throw error;
    }
  };
  const methods = (Object.keys(names) as (keyof Port)[]).map((name) => [
    name,
    async (...args: never[]) => await (await loadOnce())[name](...args),
  ]);
  return Object.fromEntries(methods) as Port;
}
