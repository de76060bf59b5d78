"""What a run shows to people: early preview, page with pictures and charts, contact sheet, tables, videos."""
