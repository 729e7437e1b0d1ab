"""Fire drills: a drift is planted into recent traffic, which is played through a shadow of what runs live, to see whether it is caught."""
