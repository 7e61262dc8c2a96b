/** The seeds that are played at every change of the product. Even ones are storms of elections. */

export const CI_SEEDS = { first: 1, last: 160 } as const;
