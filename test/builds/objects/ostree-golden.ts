/**
 * Objects as libostree 2022.7 wrote them (`ostree commit` into an archive repository), whole and byte for byte: a file of
 * each kind, the folders that hold them, and two commits, the second one after the first.
 */
export type GoldenObject = { readonly name: string; readonly bytes: Buffer };

function object(name: string, base64: string): GoldenObject {
  return { name, bytes: Buffer.from(base64, 'base64') };
}

export const files = {
  plain: object(
    'dd08575070894929c3d2e1e16e2daf4a36fc5d20ae13869d828f2a6dc98e632b.filez',
    'AAAAGgAAAAAAAAAAAAAADQAAAAAAAAAAAACBpAAAAAAAGfNIzcnJ11Eozy/KSeECAA==',
  ),
  empty: object(
    'cc700d46f407c6c5ab2d5dde474366a928b7398277e61162e7f8ec06f469f07e.filez',
    'AAAAGgAAAAAAAAAAAAAAAAAAAAAAAAAAAACBpAAAAAAAGQMA',
  ),
  executable: object(
    '89b350d278ff59ba4780bc377b8ebfee8ade6b55c99fab1ec84e133bc6ea52c5.filez',
    'AAAAGgAAAAAAAAAAAAAAEgAAAAAAAAAAAACB7QAAAAAAGVNW1E/KzNMvzuBKTc7IV8jI5AIA',
  ),
  symlink: object(
    '9a66a8ed7bf66427f5f2716c2f1fae391371f0d9939557f33ade986c45844bef.filez',
    'AAAAIQAAAAAAAAAAAAAAAAAAAAAAAAAAAACh/wAAAABiaW4vcnVuACA=',
  ),
  /** Its target needs two bytes for each end of a member. */
  longSymlink: object(
    'ab49f9de4e372227027fd55887c41941f3f296dcd1b46fb8f1cf52f2d6c1577a.filez',
    'AAABSgAAAAAAAAAAAAAAAAAAAAAAAAAAAACh/wAAAAAuLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi8uLi9mYXIASAE=',
  ),
  attribute: object(
    '6e3227f74ccb54408402b9929fb2c43be0ce76981d30c914333b88edc5f806c9.filez',
    'AAAAMgAAAAAAAAAAAAAACwAAAAAAAAAAAACBpAAAAAAAdXNlci5jb21tZW50AGEgY29tbWVudA0XGUssKSnKTCotSU3hAgA=',
  ),
  /** Four extended attributes, one of them long, one without a value. */
  attributes: object(
    'ea095e772f9d0f716154054333281859e789008d4f5246aa0dc59ec7cfcabd06.filez',
    'AAABigAAAAAAAAAAAAAACwAAAAAAAAAAAACBgAAAAAAAdXNlci5jb21tZW50AGEgY29tbWVudA11c2VyLmxvbmcAeHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4CgB1c2VyLm1pbWVfdHlwZQB0ZXh0L3BsYWluDxcATwFpARkASywpKcpMKi1JTeECAA==',
  ),
  /** Its header needs two bytes for an end with the size, and one without it. */
  onTheEdge: object(
    'd37c663dc44bf93afecf26d9d4b09cd91c770d47f713d5a5cc0233eb95129ee1.filez',
    'AAABAwAAAAAAAAAAAAAABQAAAAAAAAAAAACBpAAAAAAAdXNlci5lZGdlAHl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXkK5xkAS01JT+UCAA==',
  ),
  /** Mode 04750, of user 1000 and group 65534. */
  owned: object(
    'a1333d1e7c44fcb798ef1461a2deaeadc97f8043f09d3082df003252b7ad0266.filez',
    'AAAAGgAAAAAAAAAAAAAABgAAA+gAAP/+AACJ6AAAAAAAGcsvz0tN4QIA',
  ),
  /** 100,000 bytes, in some hundred. */
  zeros: object(
    '9ee255dce8b5961e9dfd1beaf4e0d48be7a6d2d276f7e094f6662d6fda88704b.filez',
    'AAAAGgAAAAAAAAAAAAGGoAAAAAAAAAAAAACBpAAAAAAAGe3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIBXAw==',
  ),
  second: object(
    'ae172090f365e8f028880e596d41d21eb5dd64b77d9d578cb4e4d678a872d5b8.filez',
    'AAAAGgAAAAAAAAAAAAAABwAAAAAAAAAAAACBpAAAAAAAGStOTc7PS+ECAA==',
  ),
  metadata: object(
    '9e8571530975fbc4303606eee42096ec5fae17ce204cf197ebba197ebaeaa3cf.filez',
    'AAAAGgAAAAAAAAAAAAAAIwAAAAAAAAAAAACBpAAAAAAAGYt2LCjIyUxOLMnMz4vlykvMTbXNL0rXS61IzC3ISdUDynIBAA==',
  ),
};

export const folders = {
  root: object(
    '9bb90327bfb0280a144664e344c292ee3ba19226f41028beb263d2300dc5c115.dirtree',
    'bWV0YWRhdGEAnoVxUwl1+8QwNgbu5CCW7F+uF84gTPGX67oZfrrqo88JKmV4cG9ydABuNAuc/7N6mJylROa7eAoseJAdP7M3OHaFEaMGF6+gHURqDvEbfMFn87YD5YXH7u62dfqkEtXsc/YpiOsLbFSIJwdmaWxlcwCOMQUHRfz67/q/HWA/ajK8wXHfxdbfniMn3iWYS/Cf2ERqDvEbfMFn87YD5YXH7u62dfqkEtXsc/YpiOsLbFSIJgZJkSs=',
  ),
  files: object(
    '8e31050745fcfaeffabf1d603f6a32bcc171dfc5d6df9e2327de25984bf09fd8.dirtree',
    'YXR0cmlidXRlcwDqCV53L50PcWFUBUMzKBhZ54kAjU9SRqoNxZ7Hz8q9BgtlbXB0eQDMcA1G9AfGxastXd5HQ2apKLc5gnfmEWLn+OwG9GnwfgZoZWxsby50eHQA3QhXUHCJSSnD0uHhbi2vSjb8XSCuE4adgo8qbcmOYysKbGluawCaZqjte/ZkJ/XycWwvH645E3Hw2ZOVV/M63phsRYRL7wVsb25nLWxpbmsAq0n53k43IicCf9VYh8QZQfPyltzRtG+48c9S8tbBV3oKb24tdGhlLWVkZ2UA03xmPcRL+Tr+zybZ1LCc2Rx3DUf3E9WlzAIz65USnuEMb25lLWF0dHJpYnV0ZQBuMif3TMtUQIQCuZKfssQ74M52mB0wyRQzO4jtxfgGyQ5vd25lZAChMz0efET8t5jvFGGi3q6tyX+AQ/CdMILfADJSt60CZgZzZWNvbmQArhcgkPNl6PAoiA5ZbUHSHrXdZLd9nVeMtOTWeKhy1bgHemVyb3MAnuJV3Oi1lh6d/Rvq9ODUi+em0tJ29+CU9mYtb9qIcEsGLABTAH4ApADPAPwAKwFSAXoBoQFiaW4AnRFvS/NuB2YebDUSuhbXHiqQs2PjEj30YxlGJJ3ixAJEag7xG3zBZ/O2A+WFx+7utnX6pBLV7HP2KYjrC2xUiCQERrUB',
  ),
  bin: object(
    '9d116f4bf36e07661e6c3512ba16d71e2a90b363e3123df4631946249de2c402.dirtree',
    'cnVuAImzUNJ4/1m6R4C8N3uOv+6K3mtVyZ+rHshOEzvG6lLFBCUm',
  ),
  emptyFolder: object('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d.dirtree', 'AA=='),
};

/** The one of all folders. */
export const dirmeta = object(
  '446a0ef11b7cc167f3b603e585c7eeeeb675faa412d5ec73f62988eb0b6c5488.dirmeta',
  'AAAAAAAAAAAAAEHt',
);

export const commits = {
  /** Of a tree without `second`. */
  first: object(
    '413082e524459360f9e1d9b8c77ebceb17cdd6502cb69ed7f74daad99018ead2.commit',
    'eGEubWV0YWRhdGEAAAAAAGhlbGxvAABzDAAAAAAAAABvc3RyZWUucmVmLWJpbmRpbmcAAAAAAABhcHAvb3JnLmV4YW1wbGUuQXBwL3g4Nl82NC9zdGFibGUAIgBhcxMZX3N1YmplY3QgMABBIGJvZHk6IFpvw6sAAAAAAGlVuQDgWlGAe7lkC88wv1o3Q872PTq9hvQs91r4a7vBxvIgfURqDvEbfMFn87YD5YXH7u62dfqkEtXsc/YpiOsLbFSIoHhrYWFh',
  ),
  last: object(
    '19cd761c1a41b0160dd4b8ac3432c17ca78a8489822b91a6639b32eea714db96.commit',
    'eGEubWV0YWRhdGEAAAAAAGhlbGxvAABzDAAAAAAAAABvc3RyZWUucmVmLWJpbmRpbmcAAAAAAABhcHAvb3JnLmV4YW1wbGUuQXBwL3g4Nl82NC9zdGFibGUAIgBhcxMZX0EwguUkRZNg+eHZuMd+vOsXzdZQLLae1/dNqtmQGOrSc3ViamVjdCAxAEEgYm9keTogWm/DqwAAAAAAaVcKgJu5Aye/sCgKFEZk40TCku47oZIm9BAovrJj0jANxcEVRGoO8Rt8wWfztgPlhcfu7rZ1+qQS1exz9imI6wtsVIjAmIuBgWE=',
  ),
};
