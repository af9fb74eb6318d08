"""Where frames get their time from: LTC, MTC and Art-Net time code, and the system clock as PTP or NTP keep it."""
